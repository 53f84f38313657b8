"""An agent's way to the functions of a tool: MCP over its gateway, by the official SDK.

Each call is one POST of the stateless protocol (2026-07-28): nothing to keep alive, nothing to
resume. It travels by the same httpx client as all else the agent sends, in process or not. The
SDK is imported at the first call, so that an idle agent does not pay for it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, TypeVar

import httpx
from pydantic import BaseModel, ValidationError

from seawall.errors import OperatorError, Refused
from seawall.wire.messages import Fault
from seawall.wire.tools import CallOutcome, FunctionInfo

Result = TypeVar("Result", bound=BaseModel)

LIST_SECONDS_MAX = 60.0
GRACE_SECONDS = 5.0
"""How much longer we wait than the tool's bridge, whose words on a timeout are better."""

UNREACHED = (502, 503, 504)
"""With a body that is not JSON: a gateway's own words, that the tool is not there."""


class ToolAwayError(OperatorError):
    """Nobody answers for a tool: it may be there again soon."""


class ToolClient:
    """The functions behind one bridge. `http` reaches `url`, which ends in `/mcp`."""

    def __init__(self, http: httpx.AsyncClient, url: str) -> None:
        self._http, self._url = http, url

    async def list(self, headers: Mapping[str, str]) -> list[FunctionInfo]:
        """The functions this agent was granted. Raises Refused, or OperatorError."""
        import mcp_types
        from mcp import MCPError

        request = mcp_types.ListToolsRequest()
        try:
            async with asyncio.timeout(LIST_SECONDS_MAX):
                page = await self._exchange(request, mcp_types.ListToolsResult, headers)
        except (MCPError, TimeoutError) as error:
            why = str(error) or f"no answer in {LIST_SECONDS_MAX:g} s"
            raise OperatorError(self._place, why) from None
        return [_info(listed) for listed in page.tools]

    async def call(
        self,
        function: str,
        arguments: dict[str, Any],
        headers: Mapping[str, str],
        timeout_seconds: float,
    ) -> CallOutcome:
        """Call one function; what goes wrong in it is an outcome. Raises Refused, OperatorError."""
        import mcp_types
        from mcp import MCPError

        request = mcp_types.CallToolRequest(
            params=mcp_types.CallToolRequestParams(name=function, arguments=arguments)
        )
        try:
            async with asyncio.timeout(timeout_seconds + GRACE_SECONDS):
                # not call_tool(): it lists all functions first, for output schemas we do not use
                result = await self._exchange(request, mcp_types.CallToolResult, headers)
        except TimeoutError:
            words = f"{function} timed out after {timeout_seconds:g} s"
            return CallOutcome(text=words, is_error=True)
        except MCPError as error:
            return CallOutcome(text=f"{function} failed: {error}", is_error=True)
        return _outcome(result)

    @property
    def _place(self) -> str:
        return self._url.removesuffix("/mcp").rpartition("/")[2] or self._url

    async def _exchange(
        self, request: Any, expected: type[Result], headers: Mapping[str, str]
    ) -> Result:
        """One request and its result; a refusal or a lost link seen on the way is raised."""
        import httpx2
        from mcp import ClientSession, MCPError
        from mcp.client.streamable_http import streamable_http_client

        carrier = _carrier(self._http, headers)
        error: MCPError | None = None
        async with (
            httpx2.AsyncClient(transport=carrier) as client,
            streamable_http_client(self._url, http_client=client) as (read, write),
            ClientSession(read, write) as session,
        ):
            session.adopt(_agreed())
            try:
                return await session.send_request(request, expected)
            except MCPError as caught:
                error = caught  # raised outside: the SDK's task groups would wrap it
        if carrier.fault is not None:
            fault = carrier.fault
            raise Refused(fault.code, fault.reason, fault.remedy, self._place)
        if carrier.lost:
            raise ToolAwayError(self._place, f"no answer: {carrier.lost}")
        raise error


def _agreed() -> Any:
    """The version both ends speak, so that none is asked for."""
    import mcp_types
    from mcp_types.version import LATEST_MODERN_VERSION

    return mcp_types.DiscoverResult(
        supported_versions=[LATEST_MODERN_VERSION],
        capabilities=mcp_types.ServerCapabilities(),
        ttl_ms=0,
        cache_scope="public",
    )


def _carrier(http: httpx.AsyncClient, headers: Mapping[str, str]) -> Any:
    """A transport for the SDK's HTTP library (httpx2) that sends by ours, with `headers` added."""
    import httpx2

    class Carrier(httpx2.AsyncBaseTransport):
        """Answers are whole JSON documents, so nothing is streamed."""

        fault: Fault | None = None
        lost = ""

        async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
            sent = {k: v for k, v in request.headers.items() if k not in _OWN} | dict(headers)
            try:
                answer = await http.request(
                    request.method,
                    str(request.url),
                    content=await request.aread(),
                    headers=sent,
                    timeout=httpx.Timeout(30.0, read=None),
                )
            except httpx.TransportError as error:
                self.lost = f"{type(error).__name__} {error}".strip()
                return httpx2.Response(502, request=request)
            if answer.status_code in UNREACHED and not _is_json(answer):
                self.lost = f"HTTP {answer.status_code}"
            if answer.is_client_error:
                self.fault = _fault(answer)
            kind = answer.headers.get("content-type", "")
            return httpx2.Response(
                answer.status_code,
                headers={"content-type": kind},
                content=answer.content,
                request=request,
            )

    return Carrier()


_OWN = ("host", "content-length", "connection", "accept-encoding", "user-agent")


def _is_json(answer: httpx.Response) -> bool:
    return "json" in answer.headers.get("content-type", "")


def _fault(answer: httpx.Response) -> Fault | None:
    """A refusal by the gateway (a Fault) or by the bridge (a Fault in a JSON-RPC error)."""
    try:
        body = answer.json()
    except ValueError:
        return None
    if isinstance(body, dict) and isinstance(body.get("error"), dict):
        body = body["error"].get("data")
    try:
        return Fault.model_validate(body)
    except ValidationError:
        return None


def _info(listed: Any) -> FunctionInfo:
    """Our bridge's `_meta` counts: it has already left out what strangers say there."""
    meta = listed.meta or {}
    return FunctionInfo(
        name=listed.name,
        description=listed.description or "",
        input_schema=listed.input_schema,
        retry=meta.get("seawall/retry", "never"),
        timeout_seconds=meta.get("seawall/timeout-seconds"),
    )


def _outcome(result: Any) -> CallOutcome:
    structured = result.structured_content
    return CallOutcome(
        text="\n".join(getattr(block, "text", "") for block in result.content),
        is_error=result.is_error,
        structured=structured if isinstance(structured, dict) else None,
    )
