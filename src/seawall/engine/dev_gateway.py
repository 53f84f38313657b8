"""The gateway of one agent in the embedded engine: what Envoy is in a mesh of containers.

It says who calls (an agent's own word does not count), has the keeper check the lease, and lets
through only what was granted. In one process it cannot hold back code that ignores it: `dev`
isolates identity and grants, not memory (docs/explanation/security.md).
"""

from __future__ import annotations

from collections.abc import Mapping

import httpx
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from seawall.wire import headers
from seawall.wire.messages import Fault

IDENTITY = tuple(name.encode() for name in (headers.AGENT, headers.RUN, headers.TASK))


class DevGateway:
    """An ASGI app with two kinds of paths: `/keeper/…` and `/tools/NAME/…`."""

    def __init__(self, agent: str, keeper: ASGIApp, tools: Mapping[str, ASGIApp]) -> None:
        self._agent, self._keeper, self._tools = agent, keeper, tools
        self._check = httpx.ASGITransport(keeper)  # holds nothing that would have to be closed

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Route one request, with the identity headers overwritten."""
        if scope["type"] != "http":
            return
        part, _, rest = scope["path"].lstrip("/").partition("/")
        if part == "keeper":
            target, identity = self._keeper, {headers.AGENT: self._agent}
        else:
            name, _, rest = rest.partition("/")
            found = self._tools.get(name) if part == "tools" else None
            if found is None:
                await refuse(404, "grant", f"{self._agent} has no grant for {scope['path']}")(
                    scope, receive, send
                )
                return
            checked = await self._identity(scope)
            if checked is None:
                await refuse(403, "lease", "the lease token is missing, old or another's")(
                    scope, receive, send
                )
                return
            target, identity = found, checked
        await target(rewritten(scope, f"/{rest}", identity), receive, send)

    async def _identity(self, scope: Scope) -> dict[str, str] | None:
        """Who holds the request's lease, asked of the keeper; None when nobody of this agent."""
        sent = {k.decode(): v.decode() for k, v in scope["headers"] if k == b"authorization"}
        sent[headers.AGENT] = self._agent
        request = httpx.Request("GET", "http://keeper/v1/authorize", headers=sent)
        answer = await self._check.handle_async_request(request)
        if answer.status_code != httpx.codes.OK:
            return None
        return {name: answer.headers[name] for name in (headers.AGENT, headers.RUN, headers.TASK)}


def rewritten(scope: Scope, path: str, identity: Mapping[str, str]) -> Scope:
    """The request at its target: the path without our prefix, the identity ours."""
    kept = [(k, v) for k, v in scope["headers"] if k not in IDENTITY]
    added = [(k.encode(), v.encode()) for k, v in identity.items()]
    return {**scope, "path": path, "raw_path": path.encode(), "headers": kept + added}


def refuse(status: int, code: str, reason: str) -> JSONResponse:
    """A refusal in the form that every part of the mesh uses."""
    return JSONResponse(Fault(code=code, reason=reason).model_dump(), status_code=status)
