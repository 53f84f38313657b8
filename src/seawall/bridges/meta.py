"""How our own facts about a function travel in MCP's `_meta`, which others ignore."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast, get_args

from seawall.wire.profiles import RetryRule
from seawall.wire.tools import FunctionInfo

if TYPE_CHECKING:
    from mcp_types import Tool

RETRY = "seawall/retry"
TIMEOUT = "seawall/timeout-seconds"


def to_tool(info: FunctionInfo) -> Tool:
    """The function as MCP lists it."""
    from mcp_types import Tool

    meta: dict[str, Any] = {RETRY: info.retry}
    if info.timeout_seconds is not None:
        meta[TIMEOUT] = info.timeout_seconds
    return Tool(
        name=info.name,
        description=info.description,
        input_schema=info.input_schema or {"type": "object"},
        _meta=meta,
    )


def from_tool(listed: Tool, *, trusted: bool) -> FunctionInfo:
    """The function as callers see it; a stranger's word on retries and time does not count."""
    meta: Mapping[str, Any] = (listed.meta or {}) if trusted else {}
    retry, limit = meta.get(RETRY), meta.get(TIMEOUT)
    return FunctionInfo(
        name=listed.name,
        description=listed.description or "",
        input_schema=listed.input_schema,
        retry=cast("RetryRule", retry) if retry in get_args(RetryRule) else "never",
        timeout_seconds=float(limit) if isinstance(limit, int | float) and limit > 0 else None,
    )
