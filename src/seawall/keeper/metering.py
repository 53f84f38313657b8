"""Model calls at the gateways: room held before each, settled by what the provider says it used.

The gateway sends the request before and the answer's usage after; see decision 0013.
"""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from starlette.requests import Request
from starlette.responses import Response

from seawall.errors import Refused
from seawall.wire import headers
from seawall.wire.profiles import MODEL_REQUEST_BYTES_MAX, MeteredModel

from . import leases
from .http import fault
from .leases import Holder, Named
from .store import Store

ANSWER_BYTES_MAX = 2 * 1024**2
BYTES_PER_TOKEN_MIN = 3
"""Fewer than English has (about 4), so that an estimate errs upwards."""
CHOICES_MAX = 16
STEP_CHARS_MAX = 200
PATH = re.compile(r"models/(\d{1,3})/")
UNSENT = ("remote connection failure", "no healthy upstream", "connection timeout", "overflow",
          "TLS_error")  # fmt: skip
"""What a gateway says of a request that never reached its provider."""
STATUS = {"budget": 402, "usage": 402, "rate": 429, "payload": 413, "deadline": 504,
          "bad_request": 400}  # fmt: skip
"""Of a model call's refusals; others are 403, and a day's budget 429: tomorrow it is possible."""


class Ask(NamedTuple):
    """The most that a request may use, and whether its answer is to say what it did."""

    input_tokens: int
    output_tokens: int
    says: bool


class Used(NamedTuple):
    """What a call used."""

    input_tokens: int
    output_tokens: int


class Metering:
    """Both ends of a model call, over one store."""

    def __init__(self, store: Store) -> None:
        self.store = store

    async def reserve(
        self, request: Request, holder: Callable[[Request], Holder], path: str
    ) -> Response:
        """Envoy's ext_authz before a model call: 200 with a reservation, or why not."""
        try:
            identity, named = await self._reserve(request, holder(request), path)
        except Refused as refused:
            response = fault(refused.code, refused.fault, refused.remedy)
            day = refused.code == "budget" and refused.fault.startswith("day/")
            response.status_code = 429 if day else STATUS.get(refused.code, 403)
            return response
        return Response(headers={**leases.told(named, request), headers.RESERVATION: identity})

    async def settle(self, request: Request) -> Response:
        """The gateway's word on what a call used; the same reservation counts once."""
        identity = request.headers.get(headers.RESERVATION, "")
        row = await self.store.redis.hmget(
            f"{self.store.prefix}meter:{identity}", "agent", "number"
        )
        body = await _read(request, ANSWER_BYTES_MAX)
        if row[0] is None:
            return Response()
        status = int(request.headers.get(headers.STATUS, "0"))
        provider = request.headers.get(headers.SOURCE) == "provider"
        used = _refused(status, provider, body) or usage(body)
        if used is None:
            await self.store.run("settle", identity, "", "", "", int(provider and status == 200))
            return Response()
        meter = self._model(row[0], int(row[1]))
        await self.store.run("settle", identity, *used, cost(meter, *used), 0)
        return Response()

    async def _reserve(self, request: Request, held: Holder, path: str) -> tuple[str, Named]:
        match = PATH.match(path)
        if match is None:
            raise Refused("grant", "there is no such model")
        number = int(match[1])
        meter = self._model(held.agent, number)
        ask = most(meter, await _read(request, MODEL_REQUEST_BYTES_MAX))
        own = self.store.policy.meters[held.agent].budget
        identity = secrets.token_urlsafe(18)
        reply = await self.store.run(
            "meter", *held, identity, request.headers.get(headers.STEP, "")[:STEP_CHARS_MAX],
            number, ask.input_tokens + ask.output_tokens,
            cost(meter, ask.input_tokens, ask.output_tokens),
            "" if own.tokens is None else own.tokens,
            "" if own.usd_micros is None else own.usd_micros,
            "1" if meter.allow_missing_usage else "", int(ask.says),
        )  # fmt: skip
        return identity, Named(*reply)

    def _model(self, agent: str, number: int) -> MeteredModel:
        meter = self.store.policy.meters.get(agent)
        if meter is None or number >= len(meter.models):
            raise Refused("grant", f"{agent} has no such model")
        return meter.models[number]


def most(meter: MeteredModel, body: bytes) -> Ask:
    """The most a request may use. Raises Refused for what cannot be metered."""
    asked = _object(body)
    if asked.get("model") != meter.name:
        raise Refused("grant", f"this way leads to the model {meter.name} alone")
    given = [asked[key] for key in ("max_tokens", "max_completion_tokens") if key in asked]
    limits = [value for value in given if value is not None]
    choices = 1 if asked.get("n") is None else asked["n"]
    if not all(type(value) is int and value > 0 for value in (*limits, choices)):
        raise Refused("bad_request", "`max_tokens` and `n` must be whole numbers above zero")
    output = max(limits, default=meter.output_tokens_max)
    if output > meter.output_tokens_max or choices > CHOICES_MAX:
        raise Refused(
            "bad_request",
            f"an answer may have {meter.output_tokens_max} tokens, and {output} were asked for",
            "Ask for less, or raise the model's `output_tokens` in seawall.yaml",
        )
    options = asked.get("stream_options")
    told = isinstance(options, dict) and options.get("include_usage") is True
    says = meter.provider != "openai" or not asked.get("stream") or told
    return Ask(len(body) // BYTES_PER_TOKEN_MIN, output * choices, says)


def usage(body: bytes) -> Used | None:
    """What a whole answer says that it used, JSON or server-sent events; None when it does not."""
    if body.lstrip()[:1] == b"{":
        answer = _parsed(body)
        return _counted([answer.get("usage")])
    found: list[Any] = []
    final = False
    for line in body.splitlines():
        if not line.startswith(b"data:"):
            continue
        event = _parsed(line[5:])
        kind = event.get("type")
        if kind == "message_start":  # not the whole of it yet
            inner = event.get("message")
        elif kind in ("response.completed", "response.incomplete"):
            inner = event.get("response")
        else:  # Anthropic's message_delta; a chunk of OpenAI's
            inner = event
        said = inner.get("usage") if isinstance(inner, dict) else None
        if isinstance(said, dict):
            found.append(said)
            final = final or kind != "message_start"
    return _counted(found) if final else None


def cost(meter: MeteredModel, input_tokens: int, output_tokens: int) -> int:
    """Micro-dollars, rounded up."""
    usd = 0
    for rate in meter.rates:
        if input_tokens >= rate.start:
            usd = -(-(input_tokens * rate.input + output_tokens * rate.output) // 1_000_000)
    return usd


def _counted(said: Sequence[Any]) -> Used | None:
    """The largest of each number: events of one answer count up."""
    inputs, outputs = 0, 0
    for one in said:
        if not isinstance(one, dict):
            return None
        fresh = _number(one, "input_tokens") or _number(one, "prompt_tokens")
        cached = ("cache_creation_input_tokens", "cache_read_input_tokens")
        inputs = max(inputs, fresh + sum(_number(one, name) for name in cached))
        outputs = max(outputs, _number(one, "output_tokens") or _number(one, "completion_tokens"))
    return Used(inputs, outputs) if inputs + outputs > 0 else None


def _number(said: dict[str, Any], name: str) -> int:
    value = said.get(name)
    return value if type(value) is int and value > 0 else 0


def _refused(status: int, provider: bool, body: bytes) -> Used | None:
    """Nothing, for a call that the provider refused or never saw; None for any other."""
    unsent = any(word in body.decode("utf-8", "replace") for word in UNSENT)
    return Used(0, 0) if status >= 400 and (provider or unsent) else None


def _object(body: bytes) -> dict[str, Any]:
    """The request as every provider must read it: one meaning, or it is refused."""

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) != len(pairs):
            raise ValueError("a key twice")
        return found

    try:
        asked = json.loads(body.decode("utf-8"), object_pairs_hook=unique)
    except (ValueError, RecursionError):
        raise Refused("bad_request", "a model call is one JSON object, no key twice") from None
    if not isinstance(asked, dict):
        raise Refused("bad_request", "a model call is one JSON object")
    return asked


def _parsed(text: bytes) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


async def _read(request: Request, bytes_max: int) -> bytes:
    data = bytearray()
    async for chunk in request.stream():
        data += chunk
        if len(data) > bytes_max:
            raise Refused("payload", f"a model call has more than {bytes_max} bytes")
    return bytes(data)
