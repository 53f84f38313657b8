"""The keeper as agents see it. The identity header is the gateway's to set, never this client's."""

from __future__ import annotations

import asyncio

import httpx
from pydantic import BaseModel, ValidationError

from seawall.errors import OperatorError, Refused
from seawall.wire.messages import (
    Begin,
    Delegated,
    Delegation,
    Failure,
    Fault,
    Finish,
    Lease,
    Progress,
    Renewal,
    Reserve,
    Step,
    Take,
    TaskResult,
)

PAUSES_SECONDS = (0.05, 0.2, 0.8)
"""Waits between tries when the keeper or its broker does not answer for a moment."""
MARGIN_SECONDS = 15.0
"""How much longer than the wait it asked for a request may take."""


async def call(
    http: httpx.AsyncClient,
    method: str,
    path: str,
    *,
    token: str = "",
    message: BaseModel | None = None,
    wait_seconds: float = 0.0,
    retried: bool = True,
) -> httpx.Response:
    """One request to the keeper. Raises Refused, or OperatorError when it or its broker is away."""
    headers = {"content-type": "application/json"} if message else {}
    if token:
        headers["authorization"] = f"Bearer {token}"
    content = message.model_dump_json(exclude_unset=True) if message else None
    timeout = wait_seconds + MARGIN_SECONDS
    for pause in (*PAUSES_SECONDS, None):
        try:
            response = await http.request(
                method, path, content=content, headers=headers, timeout=timeout
            )
        except httpx.TransportError as error:
            away = _away(f"it does not answer ({type(error).__name__})")
        else:
            if response.status_code < 400:
                return response
            away = _refused_or_away(response)
        if pause is None or not retried:
            break
        await asyncio.sleep(pause)
    raise away


def _refused_or_away(response: httpx.Response) -> OperatorError:
    """Raise the refusal of a 4xx; what a 5xx says may pass."""
    try:
        fault = Fault.model_validate_json(response.content)
    except ValidationError:
        return _away(f"it answered with HTTP {response.status_code}")
    if response.status_code < 500:
        raise Refused(fault.code, fault.reason, fault.remedy)
    return OperatorError("keeper", fault.reason, fault.remedy)


def _away(reason: str) -> OperatorError:
    return OperatorError("keeper", reason, "See that the mesh runs")


class KeeperClient:
    """Every call an agent may make; all but `take` and `progress` are safe to repeat."""

    def __init__(self, http: httpx.AsyncClient) -> None:
        self._http = http

    async def take(self, message: Take) -> Lease | None:
        """Wait for work; None when there was none in time."""
        response = await call(
            self._http, "POST", "/v1/take", message=message, wait_seconds=message.wait_seconds
        )
        return None if response.status_code == 204 else Lease.model_validate_json(response.content)

    async def renew(self, token: str) -> Renewal:
        """Lengthen the lease. Raises Refused `lease_lost`."""
        # Never retried here: the renewer has its own clock.
        response = await call(self._http, "POST", "/v1/renew", token=token, retried=False)
        return Renewal.model_validate_json(response.content)

    async def begin(self, token: str, message: Begin) -> None:
        """Say that a step is about to happen."""
        await call(self._http, "POST", "/v1/begin", token=token, message=message)

    async def record(self, token: str, step: Step) -> None:
        """Put a finished step into the journal, and settle what was reserved for its key."""
        await call(self._http, "POST", "/v1/record", token=token, message=step)

    async def reserve(self, token: str, message: Reserve) -> None:
        """Hold room before spending. Raises Refused `budget`."""
        await call(self._http, "POST", "/v1/reserve", token=token, message=message)

    async def release(self, token: str, key: str) -> None:
        """Give back what a failed attempt had reserved."""
        message = Reserve(key=key)
        await call(self._http, "POST", "/v1/release", token=token, message=message)

    async def delegate(self, token: str, message: Delegation) -> Delegated:
        """Hand work to another agent; the same key twice is one child."""
        response = await call(self._http, "POST", "/v1/delegate", token=token, message=message)
        return Delegated.model_validate_json(response.content)

    async def result(self, token: str, task: str, wait_seconds: float) -> TaskResult:
        """How a child stands, after waiting for its end; `state` may still be running."""
        path = f"/v1/result/{task}?wait={wait_seconds:.3f}"
        response = await call(self._http, "GET", path, token=token, wait_seconds=wait_seconds)
        return TaskResult.model_validate_json(response.content)

    async def progress(self, token: str, message: Progress) -> None:
        """Show people what is going on."""
        path = "/v1/progress"
        await call(self._http, "POST", path, token=token, message=message, retried=False)

    async def finish(self, token: str, message: Finish) -> None:
        """Answer."""
        await call(self._http, "POST", "/v1/finish", token=token, message=message)

    async def fail(self, token: str, message: Failure) -> None:
        """Give up, with a reason."""
        await call(self._http, "POST", "/v1/fail", token=token, message=message)
