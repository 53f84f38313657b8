"""One request to the keeper and its answer, for the agents' client and for the people's.

It speaks to an httpx transport rather than a client. What the client adds on the way (cookies,
redirects, proxies, merged URLs) the keeper never uses, and it took two thirds of a call's time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

import httpx
from pydantic import BaseModel, ValidationError

from seawall.errors import OperatorError, Refused
from seawall.wire.messages import Fault

PAUSES_SECONDS = (0.05, 0.2, 0.8)
"""Waits between tries when the keeper or its broker does not answer for a moment."""
MARGIN_SECONDS = 15.0
"""How much longer than the wait it asked for a request may take."""
TARGETS_MAX = 64
"""Paths whose URL is kept ready; paths that name a task are built each time."""

Headers = list[tuple[bytes, bytes]]


def seconds_max(wait_seconds: float = 0.0) -> float:
    """How long a call may take, every try of it at its slowest."""
    tries = len(PAUSES_SECONDS) + 1
    return tries * (wait_seconds + MARGIN_SECONDS) + sum(PAUSES_SECONDS)


class Caller:
    """Sends requests to one base URL. Whoever opened the transport closes it."""

    def __init__(
        self,
        transport: httpx.AsyncBaseTransport,
        base_url: str,
        headers: Mapping[str, str] | None = None,
        *,
        pauses: Sequence[float] = PAUSES_SECONDS,
    ) -> None:
        self._transport = transport
        self._pauses = pauses
        self._base_url = base_url.rstrip("/")
        self._host = httpx.URL(base_url).netloc
        self._headers = [(k.encode(), v.encode()) for k, v in (headers or {}).items()]
        self._urls: dict[str, httpx.URL] = {}

    async def call(
        self,
        method: str,
        path: str,
        *,
        token: str = "",
        message: BaseModel | None = None,
        wait_seconds: float = 0.0,
        retried: bool = True,
    ) -> httpx.Response:
        """The answer, read. Raises Refused, or OperatorError: the keeper or its broker is away."""
        data = message.model_dump_json(exclude_unset=True).encode() if message else b""
        timeout = wait_seconds + MARGIN_SECONDS
        for pause in (*self._pauses, None):
            try:
                response = await self._send(self._request(method, path, token, data, timeout))
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

    def _request(
        self, method: str, path: str, token: str, data: bytes, timeout: float
    ) -> httpx.Request:
        headers = [(b"host", self._host), *self._headers]
        if token:
            headers.append((b"authorization", b"Bearer " + token.encode()))
        if method != "GET":
            headers.append((b"content-length", b"%d" % len(data)))
            headers.append((b"content-type", b"application/json"))
        limits = dict.fromkeys(("connect", "read", "write", "pool"), timeout)
        # A stream of ours, so that httpx does not look for headers that it would have to add.
        return httpx.Request(
            method,
            self._url(path),
            headers=headers,
            stream=httpx.ByteStream(data),
            extensions={"timeout": limits},
        )

    async def _send(self, request: httpx.Request) -> httpx.Response:
        response = await self._transport.handle_async_request(request)
        try:
            await response.aread()
        except BaseException:
            await response.aclose()
            raise
        return response

    def _url(self, path: str) -> httpx.URL:
        if found := self._urls.get(path):
            return found
        url = httpx.URL(self._base_url + path)
        if len(self._urls) < TARGETS_MAX and path.count("/") == 2:
            self._urls[path] = url
        return url


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
