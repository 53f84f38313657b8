"""The `@tool` mark: which functions of a file agents may call, and how a call may be repeated.

Must stay light: the user's file imports it, and nothing else of ours.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar, get_args, overload

from seawall.wire.profiles import RetryRule

Function = TypeVar("Function", bound=Callable[..., Any])

ATTRIBUTE = "__seawall_tool__"
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}


@dataclass(frozen=True)
class Mark:
    """What the decorator was told."""

    retry: RetryRule = "never"
    timeout_seconds: float | None = None


@overload
def tool(function: Function, /) -> Function: ...


@overload
def tool(
    *, retry: RetryRule = "never", timeout: str | float | None = None
) -> Callable[[Function], Function]: ...


def tool(
    function: Function | None = None,
    /,
    *,
    retry: RetryRule = "never",
    timeout: str | float | None = None,
) -> Function | Callable[[Function], Function]:
    """Mark a function as one that agents may call; its types and docstring describe it to them.

    `retry`: what to do when a call's outcome is unknown (`safe`, `idempotent`, `never`, `ask`).
    `timeout`: how long a call may take, like `"20m"` or a number of seconds; the tool's own limit
    when left out. Raises ValueError for a word or a duration it does not know.
    """
    if retry not in get_args(RetryRule):
        known = ", ".join(get_args(RetryRule))
        raise ValueError(f"retry must be one of {known}, got {retry!r}")
    mark = Mark(retry, None if timeout is None else seconds(timeout))

    def put(marked: Function) -> Function:
        setattr(marked, ATTRIBUTE, mark)
        return marked

    return put if function is None else put(function)


def seconds(duration: str | float) -> float:
    """Seconds of `"90s"`, `"20m"`, `"1.5h"`, or a plain number. Raises ValueError otherwise."""
    if isinstance(duration, str):
        found = re.fullmatch(r"(\d+(?:\.\d+)?)(ms|s|m|h)", duration.strip())
        if found is None:
            raise ValueError(f"timeout must be like 30s, 20m or 1h, got {duration!r}")
        duration = float(found[1]) * _UNITS[found[2]]
    if duration <= 0:
        raise ValueError(f"timeout must be above zero, got {duration:g}")
    return float(duration)
