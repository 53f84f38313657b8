"""The bridge: an ASGI app that speaks MCP to agents and lets each call what it was granted.

Who asks is what the identity header says, once; the gateway sets it. What the tool receives is
what was checked, written anew: a key doubled in the request's JSON reaches it once.
"""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Any, Self

import mcp_types
from mcp.server.context import ServerRequestContext
from mcp.server.lowlevel import Server
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from seawall.errors import OperatorError
from seawall.wire import headers
from seawall.wire.profiles import BridgeProfile
from seawall.wire.tools import Backend, Caller, CallOutcome, FunctionInfo

from .grants import granted
from .meta import to_tool
from .text import cut

PATH = "/mcp"
CALLS_MAX = 64
"""Calls one bridge serves at a time; more wait, and their time runs."""
REFUSED = -32001

Context = ServerRequestContext[Any, Request]


class Bridge:
    """Stands between agents and one tool; `app` serves while the bridge is entered."""

    def __init__(self, profile: BridgeProfile, backend: Backend) -> None:
        self._profile, self._backend = profile, backend
        self._functions: dict[str, FunctionInfo] | None = None
        self._slots = asyncio.Semaphore(CALLS_MAX)
        self._stack = AsyncExitStack()
        self._mcp: ASGIApp | None = None

    async def __aenter__(self) -> Self:
        await self._stack.enter_async_context(self._backend)
        server: Server[Any] = Server(
            self._profile.tool,
            on_list_tools=self._list,
            on_call_tool=self._call,
            # without it the SDK lists all functions before each call, to check headers we lack
            get_tool_input_schema=lambda _: None,
        )
        # the host is only for a guard against browsers; the identity header, which no page can
        # send unasked, already is one
        self._mcp = server.streamable_http_app(
            streamable_http_path=PATH, json_response=True, stateless_http=True, host="bridge"
        )
        await self._stack.enter_async_context(server.session_manager.run())
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._stack.__aexit__(kind, error, trace)

    @property
    def app(self) -> ASGIApp:
        """MCP at `/mcp`, `GET /health` beside it."""
        return self._serve

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        answer = self._turned_away(scope)
        if answer is not None:
            await answer(scope, receive, send)
            return
        if self._mcp is None:
            raise RuntimeError("the bridge was not entered")
        await self._mcp(scope, receive, send)

    def _turned_away(self, scope: Scope) -> Response | None:
        """The answer to a request that MCP never sees."""
        if scope["path"] == "/health":
            return JSONResponse({"tool": self._profile.tool})
        if scope["path"] != PATH:
            return _refusal(404, f"there is nothing here; MCP is at {PATH}")
        if scope["method"] != "POST":
            return _refusal(405, "only POST is served")
        named = [v for k, v in scope["headers"] if k == headers.AGENT.encode()]
        if len(named) != 1 or not named[0].strip():
            return _refusal(403, f"who asks is unknown: {headers.AGENT} must be there, once")
        return None

    async def _list(
        self, context: Context, _: mcp_types.PaginatedRequestParams | None
    ) -> mcp_types.ListToolsResult:
        caller = _caller(context)
        try:
            known = await self._known(fresh=True)
        except OperatorError as error:
            from mcp import MCPError

            raise MCPError(mcp_types.INTERNAL_ERROR, str(error)) from None
        return mcp_types.ListToolsResult(
            tools=[to_tool(i) for i in known.values() if self._may(caller, i.name)]
        )

    async def _call(
        self, context: Context, asked: mcp_types.CallToolRequestParams
    ) -> mcp_types.CallToolResult:
        outcome = await self._outcome(asked.name, asked.arguments or {}, _caller(context))
        text = cut(outcome.text, self._profile.output_bytes_max)
        whole = len(text) == len(outcome.text)
        return mcp_types.CallToolResult(
            content=[mcp_types.TextContent(text=text)],
            structured_content=outcome.structured if whole else None,
            is_error=outcome.is_error,
        )

    async def _outcome(
        self, function: str, arguments: dict[str, Any], caller: Caller
    ) -> CallOutcome:
        if not self._may(caller, function):
            return await self._unknown(function, caller)
        limit = self._profile.timeout_seconds
        try:
            async with asyncio.timeout(limit) as clock:
                info = await self._info(function)
                if info is None:
                    return await self._unknown(function, caller)
                if info.timeout_seconds is not None:
                    limit = info.timeout_seconds
                    clock.reschedule(asyncio.get_running_loop().time() + limit)
                async with self._slots:
                    return await self._backend.call(function, arguments, caller)
        except TimeoutError:
            return CallOutcome(text=f"{function} timed out after {limit:g} s", is_error=True)
        except OperatorError as error:
            return CallOutcome(text=str(error), is_error=True)

    def _may(self, caller: Caller, function: str) -> bool:
        return granted(self._profile.grants, caller.agent, function)

    async def _info(self, function: str) -> FunctionInfo | None:
        known = await self._known()
        if function not in known:
            known = await self._known(fresh=True)
        return known.get(function)

    async def _known(self, *, fresh: bool = False) -> dict[str, FunctionInfo]:
        if self._functions is None or fresh:
            self._functions = {i.name: i for i in await self._backend.list()}
        return self._functions

    async def _unknown(self, function: str, caller: Caller) -> CallOutcome:
        """Same words for what is not there and what is not granted: nothing to learn from them."""
        try:
            names = [name for name in await self._known() if self._may(caller, name)]
        except OperatorError as error:
            return CallOutcome(text=str(error), is_error=True)
        has = f"It may call: {', '.join(names)}." if names else "It was granted none."
        text = f"{self._profile.tool} has no function {function!r} for {caller.agent}. {has}"
        return CallOutcome(text=text, is_error=True)


def _caller(context: Context) -> Caller:
    """Who asks, from the request's headers alone."""
    if context.request is None:
        raise RuntimeError("a request without HTTP")
    found = context.request.headers
    return Caller(
        agent=found[headers.AGENT],
        run=found.get(headers.RUN, ""),
        task=found.get(headers.TASK, ""),
        step=found.get(headers.STEP, ""),
    )


def _refusal(status: int, reason: str) -> JSONResponse:
    """A refusal in the form that MCP clients read to their callers."""
    error = {"code": REFUSED, "message": reason, "data": {"code": "identity", "reason": reason}}
    return JSONResponse({"jsonrpc": "2.0", "id": None, "error": error}, status_code=status)
