"""What both sides of the keeper share: faults, bodies with a limit, waits that notice hang-ups."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Coroutine
from typing import TypeVar

from pydantic import BaseModel, ValidationError
from redis.exceptions import OutOfMemoryError, ReadOnlyError, RedisError, ResponseError
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from seawall.errors import Refused
from seawall.wire.messages import Fault

from .bells import stopped

STATUS = {
    "bad_request": 400, "no_identity": 401, "token": 401, "identity": 403, "edge": 403,
    "cycle": 403, "depth": 403, "fan_out": 403, "unknown": 404, "method": 405, "lease_lost": 409,
    "cancelled": 409, "conflict": 409, "payload": 413, "queue_full": 429, "runs_full": 429,
    "memory_full": 429,
    "budget": 429, "busy": 503, "broker_down": 503, "broker_full": 503,
}  # fmt: skip
"""Every code of a refusal, and its HTTP status."""

Handler = Callable[[Request], Awaitable[Response]]
M = TypeVar("M", bound=BaseModel)
T = TypeVar("T")


def application(routes: list[BaseRoute]) -> Starlette:
    """An app whose own refusals (no such path, wrong method) are faults too."""
    return Starlette(routes=routes, exception_handlers={HTTPException: _http_error})


def guarded(handler: Handler) -> Handler:
    """The handler, with everything that may go wrong turned into a Fault."""

    async def endpoint(request: Request) -> Response:
        try:
            return await handler(request)
        except Refused as refused:
            return fault(refused.code, refused.fault, refused.remedy)
        except ValidationError as error:
            # Without the input: it may hold what must not be echoed.
            lines = (
                f"{'/'.join(map(str, e['loc']))}: {e['msg']}"
                for e in error.errors(include_input=False, include_url=False)
            )
            return fault("bad_request", "; ".join(lines)[:1000])
        except RedisError as error:
            return _broker_fault(error)
        except ClientDisconnect:
            return Response(status_code=400)

    return endpoint


def fault(code: str, reason: str, remedy: str = "") -> Response:
    """A refusal as an HTTP answer."""
    return answer(Fault(code=code, reason=reason, remedy=remedy), STATUS.get(code, 400))


def answer(message: BaseModel, status: int = 200) -> Response:
    """A message as an HTTP answer."""
    return Response(message.model_dump_json(), status, media_type="application/json")


async def body(request: Request, kind: type[M], bytes_max: int) -> M:
    """The request's message; raises Refused `payload`, or pydantic's ValidationError."""
    # JSON may write a character of a payload as six, and the message has other fields.
    most = 6 * bytes_max + 65_536
    data = bytearray()
    async for chunk in request.stream():
        data += chunk
        if len(data) > most:
            raise Refused("payload", f"the request has more than {most} bytes")
    return kind.model_validate_json(bytes(data))


def seconds(request: Request, name: str = "wait") -> float:
    """A query parameter in seconds, 0 when absent; raises Refused `bad_request`."""
    try:
        value = float(request.query_params.get(name, "0"))
    except ValueError:
        value = float("nan")
    if not 0 <= value < float("inf"):
        raise Refused("bad_request", f"`{name}` must be a number of seconds, zero or more")
    return value


async def while_connected(
    request: Request,
    work: Coroutine[None, None, T],
    undo: Callable[[T], Awaitable[None]] | None = None,
) -> T:
    """The work's outcome, unless the asker hangs up: then the work is cancelled (or undone)."""
    task = asyncio.ensure_future(work)
    gone = asyncio.ensure_future(_hang_up(request))
    try:
        await asyncio.wait({task, gone}, return_when=asyncio.FIRST_COMPLETED)
    except asyncio.CancelledError:
        await _abandon(task, undo)
        raise
    finally:
        hung_up = gone.done()
        gone.cancel()
    if hung_up:
        await _abandon(task, undo)
        raise ClientDisconnect
    return task.result()


async def _abandon(task: asyncio.Future[T], undo: Callable[[T], Awaitable[None]] | None) -> None:
    """Cancel the work; when it was done already, undo it."""
    await stopped(task)
    with contextlib.suppress(asyncio.CancelledError, Refused, RedisError):
        outcome = task.result()
        if undo:
            await undo(outcome)


async def _hang_up(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _broker_fault(error: RedisError) -> Response:
    if isinstance(error, OutOfMemoryError):
        return fault("broker_full", "the broker has no memory left", "Raise its memory limit")
    if isinstance(error, ResponseError) and not isinstance(error, ReadOnlyError):
        raise error
    return fault("broker_down", "the broker does not answer", "Try again shortly")


async def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 - the type of Starlette's handlers is wider
    if error.status_code == STATUS["method"]:
        return fault("method", f"{request.method} is not possible here")
    return fault("unknown", "there is nothing here")
