"""The embedded gateway says who calls; what the agent says of itself does not count."""

from collections.abc import Mapping

import httpx
import pytest
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from seawall.engine.dev_gateway import DevGateway
from seawall.wire import headers


def echo() -> ASGIApp:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope)
        seen = {k: request.headers.getlist(k) for k in (headers.AGENT, headers.RUN, headers.TASK)}
        await JSONResponse({"path": scope["path"], **seen})(scope, receive, send)

    return app


def keeper(leases: Mapping[str, str]) -> ASGIApp:
    """Knows whose lease each token is, as the keeper's /v1/authorize does."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope)
        if scope["path"] != "/v1/authorize":
            await echo()(scope, receive, send)
            return
        token = request.headers.get("authorization", "").removeprefix("Bearer ")
        owner, asking = leases.get(token), request.headers[headers.AGENT]
        named = {headers.AGENT: asking, headers.RUN: "run-1", headers.TASK: "task-1"}
        answer = Response(headers=named) if owner == asking else Response(status_code=403)
        await answer(scope, receive, send)

    return app


def client(agent: str) -> httpx.AsyncClient:
    gateway = DevGateway(agent, keeper({"mine": "coder", "hers": "researcher"}), {"box": echo()})
    return httpx.AsyncClient(transport=httpx.ASGITransport(gateway), base_url="http://gateway")


FORGED = {headers.AGENT: "orchestrator", headers.RUN: "another", headers.TASK: "another"}


@pytest.mark.anyio
async def test_a_forged_identity_is_overwritten_on_the_way_to_the_keeper() -> None:
    answer = (await client("coder").get("/keeper/v1/renew", headers=FORGED)).json()
    assert answer["path"] == "/v1/renew"
    assert answer[headers.AGENT] == ["coder"]
    assert answer[headers.TASK] == []


@pytest.mark.anyio
async def test_a_tool_learns_the_verified_identity() -> None:
    sent = {**FORGED, "authorization": "Bearer mine"}
    answer = (await client("coder").post("/tools/box/mcp", headers=sent)).json()
    assert answer["path"] == "/mcp"
    assert answer[headers.AGENT] == ["coder"]
    assert answer[headers.TASK] == ["task-1"]


@pytest.mark.anyio
@pytest.mark.parametrize("token", ["", "Bearer hers", "Bearer old"])
async def test_no_token_another_agents_and_an_old_one_are_refused(token: str) -> None:
    answer = await client("coder").post("/tools/box/mcp", headers={"authorization": token})
    assert answer.status_code == 403
    assert answer.json()["code"] == "lease"


@pytest.mark.anyio
async def test_a_tool_that_was_not_granted_is_not_there() -> None:
    sent = {"authorization": "Bearer mine"}
    answer = await client("coder").post("/tools/memory/mcp", headers=sent)
    assert answer.status_code == 404
    assert (await client("coder").get("/elsewhere", headers=sent)).status_code == 404
