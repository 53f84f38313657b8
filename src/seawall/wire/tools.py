"""A tool's functions and what a call comes back with, for bridges, memory and agents.

`Backend` is here, and not in `bridges`, so that memory can be one without importing bridges.
"""

from __future__ import annotations

from types import TracebackType
from typing import Any, Protocol, Self

from pydantic import Field

from .base import Message
from .profiles import RetryRule


class FunctionInfo(Message):
    """One function of a tool, as callers see it."""

    name: str
    description: str = ""
    input_schema: dict[str, Any] = Field(default_factory=dict)
    """JSON Schema of the arguments, an object."""
    retry: RetryRule = "never"
    """What to do when a call's outcome is unknown."""
    timeout_seconds: float | None = None
    """How long a call may take; None for the tool's own limit."""


class CallOutcome(Message):
    """What a call came back with; an error is a result too, in words a model can act on."""

    text: str
    is_error: bool = False
    structured: dict[str, Any] | None = None
    """The result as JSON, where the function gives one."""


class Caller(Message):
    """Who calls, as the gateway says; never what the caller says of itself."""

    agent: str
    run: str = ""
    task: str = ""
    step: str = ""
    """The step's key, also the idempotency key of the call."""


class Backend(Protocol):
    """What a bridge stands in front of: something with functions that can be listed and called."""

    async def __aenter__(self) -> Self:
        """Start what is behind it."""

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop it; nothing is left running."""

    async def list(self) -> list[FunctionInfo]:
        """Every function there is. Raises OperatorError when the tool cannot start."""

    async def call(self, function: str, arguments: dict[str, Any], caller: Caller) -> CallOutcome:
        """Call one function. What goes wrong in the tool is an outcome, not an exception."""
