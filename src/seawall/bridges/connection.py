"""One live MCP session, held open by a task of its own so that any task may use it.

The SDK's client must be entered and left in one task; a bridge is called from many.
"""

from __future__ import annotations

import asyncio
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Any, assert_never

from seawall.wire.tools import CallOutcome

from .text import size

if TYPE_CHECKING:
    import mcp_types
    from mcp import Client
    from mcp.client._transport import TransportStreams

PAGES_MAX = 50
"""Pages of a server's list of functions that are read."""


class Connection:
    """A session with one MCP server."""

    def __init__(self, client: Client, stop: asyncio.Event, task: asyncio.Task[None]) -> None:
        self._client, self._stop, self._task = client, stop, task

    @classmethod
    async def open(
        cls,
        transport: AbstractAsyncContextManager[TransportStreams],
        seconds: float,
    ) -> Connection:
        """Connect and agree on a version. Raises TimeoutError, MCPError, or the transport's own."""
        ready: asyncio.Future[Client] = asyncio.get_running_loop().create_future()
        stop = asyncio.Event()
        task = asyncio.create_task(_hold(transport, ready, stop))
        try:
            async with asyncio.timeout(seconds):
                waited: set[asyncio.Future[Any]] = {ready, task}
                await asyncio.wait(waited, return_when=asyncio.FIRST_COMPLETED)
        except BaseException:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            raise
        if not ready.done():
            await task  # raises what went wrong
            raise ConnectionError("the connection closed")
        return cls(ready.result(), stop, task)

    @property
    def alive(self) -> bool:
        """Whether the session's task still runs."""
        return not self._task.done()

    async def close(self) -> None:
        """End the session and whatever its transport runs."""
        self._stop.set()
        await asyncio.wait({self._task})  # not gather(): our own end must not cut its short
        if not self._task.cancelled():
            self._task.exception()  # a server that died has been told of at its call

    async def ping(self, seconds: float) -> bool:
        """Whether the server still answers."""
        from mcp import MCPError

        try:
            async with asyncio.timeout(seconds):
                await self._client.list_tools(cache_mode="bypass")
        except (TimeoutError, MCPError):
            return False
        return True

    async def tools(self) -> list[mcp_types.Tool]:
        """Every function the server lists. Raises MCPError."""
        found: list[mcp_types.Tool] = []
        cursor = None
        for _ in range(PAGES_MAX):
            page = await self._client.list_tools(cursor=cursor, cache_mode="bypass")
            found += page.tools
            cursor = page.next_cursor
            if cursor is None:
                break
        return found

    async def call(self, function: str, arguments: dict[str, Any]) -> CallOutcome:
        """Call one function; its result in words. Raises MCPError when there is none."""
        import mcp_types

        request = mcp_types.CallToolRequest(
            params=mcp_types.CallToolRequestParams(name=function, arguments=arguments)
        )
        # not call_tool(): it lists the functions again to check results against output schemas
        session = self._client.session
        return outcome(await session.send_request(request, mcp_types.CallToolResult))


async def _hold(
    transport: AbstractAsyncContextManager[TransportStreams],
    ready: asyncio.Future[Client],
    stop: asyncio.Event,
) -> None:
    from mcp import Client

    async with Client(transport, cache=None) as client:
        ready.set_result(client)
        await stop.wait()


def outcome(result: mcp_types.CallToolResult) -> CallOutcome:
    """An MCP result as text; what is not text is described."""
    structured = result.structured_content
    text = "\n".join(_words(block) for block in result.content)
    if not text and structured is not None:
        import json

        text = json.dumps(structured, ensure_ascii=False)
    return CallOutcome(
        text=text or "(the function returned nothing)",
        is_error=result.is_error,
        structured=structured if isinstance(structured, dict) else None,
    )


def _words(block: mcp_types.ContentBlock) -> str:
    import mcp_types

    match block:
        case mcp_types.TextContent():
            return block.text
        case mcp_types.ImageContent() | mcp_types.AudioContent():
            amount = size(len(block.data) * 3 // 4)
            return f"[{block.type}, {block.mime_type}, {amount}: not shown, results are text]"
        case mcp_types.ResourceLink():
            return f"[{block.name}: {block.uri}]"
        case mcp_types.EmbeddedResource():
            inner = block.resource
            if isinstance(inner, mcp_types.TextResourceContents):
                return inner.text
            return f"[binary resource {inner.uri}: not shown, results are text]"
    assert_never(block)
