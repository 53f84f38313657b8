"""A tool that is an MCP server at a URL; connected at first use and again when the link is lost."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from seawall.errors import OperatorError
from seawall.wire.tools import Caller, CallOutcome, FunctionInfo

from .meta import from_tool

if TYPE_CHECKING:
    from mcp.client._transport import TransportStreams

    from .connection import Connection

CONNECT_SECONDS_MAX = 15.0
ECHO_CHARACTERS_MIN = 6
"""A credential at least this long is taken out of what the server says."""


class UrlBackend:
    """Speaks to one server over streamable HTTP."""

    def __init__(
        self, tool: str, url: str, headers: Mapping[str, str], *, asked: str | None = None
    ) -> None:
        """`headers` go with each request to this server and to no other; `asked` is the URL that
        requests name, where a gateway makes the server's of it.
        """
        self._tool, self._url, self._headers = tool, url, headers
        self._asked = asked or url
        # What follows `Bearer `, too; the longest first. A word this short would spoil all text.
        parts = {part for value in headers.values() for part in (value, value.rpartition(" ")[2])}
        self._credentials = sorted(
            (part for part in parts if len(part) >= ECHO_CHARACTERS_MIN), key=len, reverse=True
        )
        self._lock = asyncio.Lock()
        self._connection: Connection | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._drop()

    async def list(self) -> list[FunctionInfo]:
        """Every function of the server. Raises OperatorError when it does not answer."""
        from mcp import MCPError

        try:
            async with asyncio.timeout(CONNECT_SECONDS_MAX):
                tools = await (await self._open()).tools()
        except (TimeoutError, MCPError) as error:
            await self._drop()
            raise self._unreachable(error) from None
        return [from_tool(listed, trusted=False) for listed in tools]

    async def call(
        self,
        function: str,
        arguments: dict[str, Any],
        caller: Caller,  # noqa: ARG002 - a stranger is not told who asks
    ) -> CallOutcome:
        """Call one function."""
        from mcp import MCPError

        try:
            connection = await self._open()
            return self._bare(await connection.call(function, arguments))
        except OperatorError as error:
            return CallOutcome(text=str(error), is_error=True)
        except MCPError as error:
            await self._drop()  # a session may be gone at the server; the next call opens another
            told = f"the tool refused the call: {self._without(str(error))}"
            return CallOutcome(text=told, is_error=True)

    def _bare(self, outcome: CallOutcome) -> CallOutcome:
        """The outcome without our credential, which a server may echo; structure goes with it."""
        text = self._without(outcome.text)
        if text == outcome.text and not self._shows(repr(outcome.structured)):
            return outcome
        return CallOutcome(text=text, is_error=outcome.is_error)

    def _shows(self, text: str) -> bool:
        return any(value in text for value in self._credentials)

    def _without(self, text: str) -> str:
        for value in self._credentials:
            text = text.replace(value, "…")
        return text

    async def _open(self) -> Connection:
        from mcp import MCPError

        from .connection import Connection

        async with self._lock:
            if self._connection is None or not self._connection.alive:
                try:
                    self._connection = await Connection.open(self._transport(), CONNECT_SECONDS_MAX)
                except (TimeoutError, MCPError, OSError, ExceptionGroup) as error:
                    raise self._unreachable(error) from None
            return self._connection

    @asynccontextmanager
    async def _transport(self) -> AsyncIterator[TransportStreams]:
        import httpx2
        from mcp.client.streamable_http import streamable_http_client

        # No redirects: a credential goes to the server that the spec names, and nowhere else.
        patience = httpx2.Timeout(30.0, read=None)  # the bridge limits each call
        async with (
            httpx2.AsyncClient(
                headers=dict(self._headers), timeout=patience, follow_redirects=False
            ) as http,
            streamable_http_client(self._asked, http_client=http) as streams,
        ):
            yield streams

    async def _drop(self) -> None:
        async with self._lock:
            gone, self._connection = self._connection, None
        if gone is not None:
            await gone.close()

    def _unreachable(self, error: BaseException) -> OperatorError:
        while isinstance(error, BaseExceptionGroup):
            error = error.exceptions[0]
        why = self._without(str(error)) or type(error).__name__
        fault = f"the MCP server at {self._url} does not answer: {why}"
        return OperatorError(f"tools/{self._tool}", fault)
