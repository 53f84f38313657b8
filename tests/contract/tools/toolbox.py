"""Opens a tool behind its bridge and calls it as an agent does, over MCP, in process."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import httpx

from seawall.bridges.backends import open_backend
from seawall.bridges.bridge import Bridge
from seawall.runtime.tool_client import ToolClient
from seawall.wire.profiles import BridgeProfile, ToolSource
from seawall.wire.tools import CallOutcome, FunctionInfo


class Tool:
    """One tool, as `agent` sees it."""

    def __init__(self, bridge: Bridge, http: httpx.AsyncClient) -> None:
        self.bridge, self.http = bridge, http
        self.client = ToolClient(http, "http://tool/mcp")

    async def list(self, agent: str = "coder") -> list[FunctionInfo]:
        return await self.client.list({"x-seawall-agent": agent})

    async def call(
        self, function: str, agent: str = "coder", task: str = "t1", **given: Any
    ) -> CallOutcome:
        sent = {"x-seawall-agent": agent, "x-seawall-task": task}
        return await self.client.call(function, given, sent, 60.0)


OpenTool = Callable[..., AbstractAsyncContextManager[Tool]]


def opener(folder: Path) -> OpenTool:
    """For `async with open_tool(source, **profile) as tool`; relative paths are in `folder`."""

    @asynccontextmanager
    async def opened(source: ToolSource, **profile: Any) -> AsyncIterator[Tool]:
        grants = {"coder": ("*",), "reader": ("read*",)}
        made = BridgeProfile(tool="box", source=source, **({"grants": grants} | profile))
        async with (
            Bridge(made, open_backend(made, folder=folder)) as bridge,
            httpx.AsyncClient(transport=httpx.ASGITransport(bridge.app)) as http,
        ):
            yield Tool(bridge, http)

    return opened
