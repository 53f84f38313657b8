"""What a user's function returned, as text for a model; what cannot be shown is said so."""

from __future__ import annotations

from typing import Any

from pydantic_core import PydanticSerializationError, from_json, to_json

from seawall.wire.tools import CallOutcome

from .text import size

REMEDY = "Tools return text, numbers, booleans, lists, dicts, dataclasses or pydantic models"


def to_outcome(value: Any) -> CallOutcome:
    """Text as it is, other values as JSON."""
    if value is None:
        return CallOutcome(text="(the function returned nothing)")
    if isinstance(value, str):
        return CallOutcome(text=value.encode("utf-8", "replace").decode() or "(empty text)")
    if isinstance(value, bytes | bytearray | memoryview):
        return _error(f"the function returned {size(len(value))} of binary data. {REMEDY}")
    try:
        raw = to_json(value, inf_nan_mode="strings", serialize_unknown=False)
    except (PydanticSerializationError, ValueError, RecursionError) as error:
        kind = f"{type(value).__module__}.{type(value).__qualname__}".removeprefix("builtins.")
        why = str(error).splitlines()[0]
        return _error(f"the function returned a {kind} that is not JSON ({why}). {REMEDY}")
    plain = from_json(raw) if raw[:1] == b"{" else None
    return CallOutcome(text=raw.decode(), structured=plain)


def _error(text: str) -> CallOutcome:
    return CallOutcome(text=text, is_error=True)
