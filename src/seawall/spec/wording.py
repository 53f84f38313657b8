"""Says in the house's words what pydantic found wrong with a spec.

Values are quoted only where they cannot be a secret.
"""

from __future__ import annotations

import types
from typing import Any, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError

from .agents import AGENT_KINDS, CODE_KEYS
from .faults import Fault, Path, nearest
from .model import SECRET_KINDS, Home, Spec
from .tools import TOOL_KINDS

_KINDS: dict[str, dict[str, Any]] = {
    "agents": AGENT_KINDS, "tools": TOOL_KINDS, "secrets": SECRET_KINDS,
}  # fmt: skip
_TYPES = {
    "string_type": ("text", "Quote it"),
    "int_type": ("a whole number", ""),
    "int_from_float": ("a whole number", ""),
    "float_type": ("a number", ""),
    "bool_type": ("true or false", ""),
    "tuple_type": ("a list", "Write [a, b]"),
    "dict_type": ("a mapping", "Write keys and values"),
    "model_type": ("a mapping", "Write keys and values"),
    "model_attributes_type": ("a mapping", "Write keys and values"),
}
_BOUNDS = {
    "greater_than": ("above", "gt"),
    "greater_than_equal": ("at least", "ge"),
    "less_than_equal": ("at most", "le"),
}


def faults(error: ValidationError, home: Home, data: Any) -> list[Fault]:
    """Every fault of a validation, each with the line that caused it."""
    found = []
    for item in error.errors(include_url=False, include_input=False):
        path = plain_path(item["loc"])
        fault, remedy = _words(item, path, _value(data, path))
        found.append(Fault(home.place(path), path, fault, remedy))
    return found


def plain_path(loc: tuple[str | int, ...]) -> Path:
    """The keys of the file that lead to a value, without what pydantic adds to them."""
    parts = [part for part in loc if part != "[key]"]
    if len(parts) > 2 and parts[0] in _KINDS and parts[2] in _KINDS[str(parts[0])]:
        del parts[2]
    return tuple(p for p in parts if p not in ("HeaderAuth", "QueryAuth"))


def _words(item: Any, path: Path, value: Any) -> tuple[str, str]:
    kind, context = item["type"], item.get("ctx", {})
    if kind == "seawall":
        return context["fault"], context["remedy"]
    if kind == "missing":
        return "is missing", "Add it"
    if kind == "extra_forbidden":
        return "is not a known key", nearest(str(path[-1]), _known(path[:-1], item["loc"]), "keys")
    if kind in _TYPES:
        wanted, remedy = _TYPES[kind]
        return (
            f"must be {wanted}{_got(path, value)}",
            remedy if kind != "string_type" or isinstance(value, int | float) else "",
        )
    if kind in _BOUNDS:
        word, key = _BOUNDS[kind]
        bound = "zero" if context[key] == 0 else f"{context[key]:g}"
        return f"must be {word} {bound}{_got(path, value)}", _bound_remedy(path)
    if kind == "literal_error":
        return f"must be {context['expected']}{_got(path, value)}", ""
    if kind == "union_tag_not_found":
        return _which(path, value)
    if kind in ("string_too_short", "too_short"):
        return "is empty", "Give it a value or remove the key"
    if kind in ("string_too_long", "too_long"):
        return f"is longer than {context['max_length']}", ""
    return str(item["msg"])[:1].lower() + str(item["msg"])[1:], ""


def _bound_remedy(path: Path) -> str:
    limits = ("usd", "tokens", "time")
    if path[-1] in limits and path[-2:-1] and path[-2] in ("run", "day", "budget"):
        return "Remove the key for no limit"
    return ""


def _which(path: Path, value: Any) -> tuple[str, str]:
    kinds = CODE_KEYS if path[0] == "agents" else tuple(_KINDS[str(path[0])])
    if path[-1] == "auth":
        kinds = ("header", "query")
    given = [key for key in kinds if isinstance(value, dict) and key in value]
    if len(given) > 1:
        return f"has {' and '.join(given)}, which exclude each other", "Keep one of them"
    if not isinstance(value, dict):
        return "must be a mapping", f"Give it one of {', '.join(kinds)}"
    near = [nearest(key, kinds) for key in value]
    hint = next((n for n in near if n.startswith("Did")), "")
    return f"has none of {', '.join(kinds)}", hint or "Give it one of them"


def _got(path: Path, value: Any) -> str:
    """`, got -1`; text only where it is short and no place for a secret."""
    if isinstance(value, bool) or value is None:
        return f", got {'nothing' if value is None else str(value).lower()}"
    if isinstance(value, int | float):
        secret = "secrets" in path or path[-1:] == ("secret",) or "env" in path
        return "" if secret else f", got {value}"
    if isinstance(value, dict | tuple):
        return f", got {'a mapping' if isinstance(value, dict) else 'a list'}"
    harmless = isinstance(value, str) and len(value) <= 16 and value.replace(" ", "").isalpha()
    return f", got {value!r}" if harmless and "secrets" not in path else ", got text"


def _value(data: Any, path: Path) -> Any:
    for part in path:
        try:
            data = data[part]
        except (KeyError, IndexError, TypeError):
            return None
    return data


def _known(path: Path, loc: tuple[str | int, ...]) -> list[str]:
    """The keys that the model at `path` knows."""
    model: Any = Spec
    for depth, part in enumerate(path):
        if depth == 1 and path[0] in _KINDS:
            tag = loc[2] if len(loc) > 2 else None
            model = _KINDS[str(path[0])].get(str(tag), model)
            continue
        model = _step(model, part)
    models = _models(model)
    return sorted({name for m in models for name in m.model_fields})


def _step(model: Any, part: str | int) -> Any:
    for candidate in _models(model):
        if isinstance(part, str) and part in candidate.model_fields:
            return candidate.model_fields[part].annotation
    return _inner(model)


def _inner(annotation: Any) -> Any:
    """What a dict or list holds."""
    origin, args = get_origin(annotation), get_args(annotation)
    if origin is dict:
        return args[1]
    if origin is tuple:
        return args[0]
    return annotation


def _models(annotation: Any) -> list[type[BaseModel]]:
    """The models among the choices of an annotation."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    if get_origin(annotation) in (Union, types.UnionType):
        return [m for choice in get_args(annotation) for m in _models(choice)]
    if hasattr(annotation, "__metadata__"):
        return _models(annotation.__origin__)
    return []
