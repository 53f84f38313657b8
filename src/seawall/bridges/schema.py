"""From a Python function's types and docstring to what a model is told, and back to a call.

Google, NumPy and Sphinx docstrings are read for the words on each argument.
"""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, get_type_hints

from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model
from pydantic.errors import PydanticUserError
from pydantic.json_schema import GenerateJsonSchema

from seawall.wire.tools import FunctionInfo

from .mark import Mark
from .text import clip


class Fault(Exception):  # noqa: N818 - the design's word
    """A function that cannot be offered to a model, and why."""


@dataclass(frozen=True)
class Callee:
    """One function, ready to be called with JSON."""

    info: FunctionInfo
    function: Callable[..., Any]
    model: type[BaseModel]
    names: tuple[str, ...]
    positional: frozenset[str]

    def arguments(self, given: dict[str, Any]) -> tuple[list[Any], dict[str, Any]]:
        """What to call the function with. Raises ValueError, in words for a model."""
        try:
            checked = self.model.model_validate(given)
        except ValidationError as error:
            raise ValueError(_told(error, self)) from None
        args: list[Any] = []
        named: dict[str, Any] = {}
        for index, name in enumerate(self.names):
            field = f"a{index}"
            if name in self.positional:
                args.append(getattr(checked, field))
            elif field in checked.model_fields_set:
                named[name] = getattr(checked, field)
        return args, named


class _Plain(GenerateJsonSchema):
    """Without the titles that only repeat names: a model pays for each word."""

    def field_title_should_be_set(self, schema: Any) -> bool:  # noqa: ARG002
        return False


def describe(function: Callable[..., Any], mark: Mark) -> Callee:
    """Read a marked function. Raises Fault when its signature cannot become a schema."""
    name = function.__name__
    text, words = docstring(inspect.getdoc(function) or "")
    signature = inspect.signature(function)
    hints = _hints(function)
    fields: dict[str, Any] = {}
    for index, parameter in enumerate(signature.parameters.values()):
        fields[f"a{index}"] = _field(parameter, hints, words.get(parameter.name))
    try:
        model = create_model(name, __config__=ConfigDict(extra="forbid"), **fields)
        schema = model.model_json_schema(schema_generator=_Plain)
    except PydanticUserError as error:
        raise Fault(f"its types have no JSON Schema: {clip(error.message, 200)}") from None
    schema.pop("title", None)
    schema.setdefault("properties", {})
    kinds = signature.parameters.values()
    return Callee(
        info=FunctionInfo(
            name=name,
            description=text,
            input_schema=schema,
            retry=mark.retry,
            timeout_seconds=mark.timeout_seconds,
        ),
        function=function,
        model=model,
        names=tuple(signature.parameters),
        positional=frozenset(p.name for p in kinds if p.kind is p.POSITIONAL_ONLY),
    )


def _hints(function: Callable[..., Any]) -> dict[str, Any]:
    try:
        return get_type_hints(function, include_extras=True)
    except NameError as error:
        raise Fault(f"a type in its signature is not known: {error}") from None


def _field(parameter: inspect.Parameter, hints: dict[str, Any], words: str | None) -> Any:
    name = parameter.name
    if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
        raise Fault(f"*{name} cannot be described to a model. Name each argument")
    if name not in hints:
        raise Fault(f"argument {name} has no type. Write it as `{name}: str`, say")
    default = ... if parameter.default is parameter.empty else parameter.default
    if words is None:
        return (hints[name], Field(default, alias=name))
    return (hints[name], Field(default, alias=name, description=words))


def docstring(text: str) -> tuple[str, dict[str, str]]:
    """The description without its argument section, and the words on each argument."""
    if not text:
        return "", {}
    import griffe

    quiet = logging.getLogger("griffe")
    quiet.disabled = True  # it complains of every argument whose type is in the signature only
    best = text, dict[str, str]()
    for style in ("google", "numpy", "sphinx"):
        sections = griffe.Docstring(text).parse(style)
        words: dict[str, str] = {}
        prose: list[str] = []
        for section in sections:
            if section.kind is griffe.DocstringSectionKind.parameters:
                words |= {p.name: p.description for p in section.value}
            elif section.kind is griffe.DocstringSectionKind.text:
                prose.append(section.value)
        if len(words) > len(best[1]):
            best = "\n\n".join(prose).strip(), words
    return best


def _told(error: ValidationError, callee: Callee) -> str:
    """Pydantic's findings as one line each, with the arguments there are."""
    lines = []
    for found in error.errors(include_url=False, include_context=False)[:10]:
        place = ".".join(map(str, found["loc"])) or "arguments"
        got = "" if found["type"] == "missing" else f", got {clip(repr(found['input']), 80)}"
        lines.append(f"{place}: {found['msg']}{got}")
    known = ", ".join(callee.names) or "none"
    return f"wrong arguments for {callee.info.name}: {'; '.join(lines)}. Arguments: {known}."
