"""Fake providers on a real wire: Anthropic Messages and OpenAI Chat Completions.

They prove the real client libraries, and let a whole mesh run over the wire from a script:
`python -m seawall.models.fake_providers --port 8400 --script offline.yaml`.
"""

from __future__ import annotations

import argparse
import asyncio
import json
from pathlib import Path
from types import ModuleType
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from seawall.errors import SeawallError

from . import fake_anthropic, fake_openai
from .fake_plan import Behaviour, FakePlan, Seen, digest, from_script, shaped

_HEADERS_WITH_KEYS = frozenset({"authorization", "x-api-key", "cookie"})
_HANG_SECONDS = 3600.0
_CHARACTERS_PER_TOKEN = 4


def app(plan: FakePlan) -> Starlette:
    """Both protocols behind one address, behaving as planned."""

    def route(protocol: ModuleType) -> Route:
        async def serve(request: Request) -> Response:
            return await _serve(request, plan, protocol)

        return Route(protocol.PATH, serve, methods=["POST"])

    return Starlette(routes=[route(fake_anthropic), route(fake_openai)])


async def _serve(request: Request, plan: FakePlan, protocol: ModuleType) -> Response:
    headers = dict(request.headers)
    try:
        body = json.loads(await request.body())
        conversation = protocol.conversation(body)
    except (ValueError, KeyError, TypeError):
        return JSONResponse(protocol.error(400), 400)
    key = protocol.key(headers)
    plan.seen.append(_seen(protocol, body, key, headers))
    behaviour = plan.behaviours.pop(0) if plan.behaviours else None
    refused = _refused(plan, protocol, body, key)
    if refused is not None:
        return refused
    if behaviour is not None and behaviour.kind in ("status", "hang"):
        return await _misbehave(behaviour, protocol)
    if behaviour is not None and behaviour.kind == "garbage" and not body.get("stream"):
        return Response("{not json", media_type="application/json")
    name = headers.get("x-seawall-agent") or str(body["model"])
    try:
        reply = plan.answer(name, conversation)
    except SeawallError as error:
        return JSONResponse(protocol.error(400, str(error)), 400)
    await asyncio.sleep(reply.delay_seconds)
    usage = _tokens(json.dumps(body)), _tokens(reply.text + str(reply.calls or ""))
    if not body.get("stream"):
        if behaviour is not None and behaviour.kind == "slow":
            await asyncio.sleep(behaviour.seconds)
        return JSONResponse(protocol.whole(body, reply, usage))
    events = protocol.events(body, reply, usage)
    return StreamingResponse(
        shaped(events, plan, behaviour, protocol.error_event()), media_type="text/event-stream"
    )


def _seen(
    protocol: ModuleType, body: dict[str, Any], key: str | None, headers: dict[str, str]
) -> Seen:
    return Seen(
        protocol=protocol.__name__.rpartition("fake_")[2],
        model=str(body.get("model")),
        body=body,
        key_sha256=digest(key) if key else None,
        headers={k: v for k, v in headers.items() if k not in _HEADERS_WITH_KEYS},
    )


def _refused(
    plan: FakePlan, protocol: ModuleType, body: dict[str, Any], key: str | None
) -> Response | None:
    if plan.key is not None and key != plan.key:
        return JSONResponse(protocol.error(401), 401)
    if plan.models is not None and body["model"] not in plan.models:
        return JSONResponse(protocol.error(404, protocol.unknown_model(body["model"])), 404)
    tokens, most = _tokens(json.dumps(body["messages"])), plan.input_tokens_max
    if most is not None and tokens > most:
        return JSONResponse(protocol.error(400, protocol.too_long(tokens, most)), 400)
    return None


async def _misbehave(behaviour: Behaviour, protocol: ModuleType) -> Response:
    if behaviour.kind == "hang":
        await asyncio.sleep(_HANG_SECONDS)
    body = protocol.error(behaviour.status, behaviour.message)
    return JSONResponse(body, behaviour.status, headers=dict(behaviour.headers))


def _tokens(text: str) -> int:
    return -(-len(text) // _CHARACTERS_PER_TOKEN)


def main(arguments: list[str] | None = None) -> None:
    """Serve on the loopback until stopped."""
    import uvicorn

    from .scripted import load

    parser = argparse.ArgumentParser(prog="python -m seawall.models.fake_providers")
    parser.add_argument("--port", type=int, default=8400)
    parser.add_argument(
        "--script", type=Path, help="answer from this script; the model is the agent"
    )
    parser.add_argument("--key", help="refuse every other key")
    parser.add_argument(
        "--behave", default="", help="the first requests, by commas: 529,429:2,cut:3,slow:0.1,hang"
    )
    parser.add_argument(
        "--pause", type=float, default=0.0, metavar="SECONDS", help="before each event of a stream"
    )
    given = parser.parse_args(arguments)
    try:
        behaviours = [Behaviour.parse(word) for word in given.behave.split(",") if word]
        plan = FakePlan(behaviours=behaviours, key=given.key, pause_seconds=given.pause)
        if given.script is not None:
            plan.answer = from_script(load(given.script))
    except (SeawallError, ValueError) as error:
        parser.error(str(error))
    uvicorn.run(app(plan), host="127.0.0.1", port=given.port, log_level="warning")


if __name__ == "__main__":
    main()
