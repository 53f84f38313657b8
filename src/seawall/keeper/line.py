"""One pipelined connection to the broker, for scripts: requests go out at once, answers in order.

redis-py takes 0.2 ms of a keeper's only thread for a command, most of a small request's time; this
takes a fifth. It speaks RESP2 and nothing but commands with one answer.
"""

from __future__ import annotations

import asyncio
import ssl
from collections import deque
from collections.abc import Iterable
from typing import Any

from redis.asyncio.connection import parse_url
from redis.exceptions import (
    AuthenticationError,
    BusyLoadingError,
    ConnectionError,  # noqa: A004 - redis' own, which the keeper's callers know
    NoScriptError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisError,
    ResponseError,
)

ANSWER_SECONDS_MAX = 10.0
CONNECT_SECONDS_MAX = 3.0
PAUSES_SECONDS = (0.02, 0.2)
"""Between tries when the connection broke."""

_ERRORS: dict[str, type[RedisError]] = {
    "NOSCRIPT": NoScriptError,
    "OOM": OutOfMemoryError,
    "READONLY": ReadOnlyError,
    "LOADING": BusyLoadingError,
    "NOAUTH": AuthenticationError,
    "WRONGPASS": AuthenticationError,
}


def packed(args: Iterable[str | int | float]) -> tuple[int, bytes]:
    """How many arguments, and their RESP form without the leading count."""
    parts = []
    for arg in args:
        data = arg.encode() if isinstance(arg, str) else str(arg).encode()
        parts.append(b"$%d\r\n%b\r\n" % (len(data), data))
    return len(parts), b"".join(parts)


class Line:
    """The connection: opened when first used, and again after it broke."""

    def __init__(self, url: str) -> None:
        self._where: dict[str, Any] = dict(parse_url(url))
        self._wire: _Wire | None = None
        self._opening = asyncio.Lock()

    async def call(self, count: int, args: bytes) -> Any:
        """The answer to one command, given as `packed`. Raises redis' exceptions."""
        request = b"*%d\r\n%b" % (count, args)
        for pause in (*PAUSES_SECONDS, None):
            try:
                wire = await self._open()
                return await wire.ask(request)
            except BusyLoadingError:
                raise
            except ConnectionError:
                if pause is None:
                    raise
                await asyncio.sleep(pause)
        raise AssertionError  # pragma: no cover - the last pause is None

    def close(self) -> None:
        """Hang up; what waits for an answer gets a ConnectionError."""
        if self._wire:
            self._wire.hang_up()

    async def _open(self) -> _Wire:
        if self._wire and self._wire.alive:
            return self._wire
        async with self._opening:
            if not (self._wire and self._wire.alive):
                try:
                    async with asyncio.timeout(CONNECT_SECONDS_MAX):
                        self._wire = await self._dial()
                except OSError as error:  # TimeoutError is one
                    raise ConnectionError("the broker does not answer") from error
            return self._wire

    async def _dial(self) -> _Wire:
        loop, where = asyncio.get_running_loop(), self._where
        if path := where.get("path"):
            _, wire = await loop.create_unix_connection(_Wire, path)
        else:
            secure = None
            if where.get("connection_class"):  # rediss://
                secure = ssl.create_default_context(cafile=where.get("ssl_ca_certs"))
            host, port = where.get("host", "localhost"), where.get("port", 6379)
            _, wire = await loop.create_connection(_Wire, host, port, ssl=secure)
        for command in self._greeting():
            count, args = packed(command)
            await wire.ask(b"*%d\r\n%b" % (count, args))
        return wire

    def _greeting(self) -> list[list[str]]:
        where, commands = self._where, []
        if password := where.get("password"):
            user = where.get("username")
            commands.append(["AUTH", user, password] if user else ["AUTH", password])
        if db := where.get("db"):
            commands.append(["SELECT", str(db)])
        return commands


class _Wire(asyncio.Protocol):
    """Bytes in and out; answers meet the questions in the order they were asked."""

    def __init__(self) -> None:
        self.alive = False
        self._transport: asyncio.Transport
        self._asked: deque[asyncio.Future[Any]] = deque()
        self._unread = bytearray()

    async def ask(self, request: bytes) -> Any:
        """One answer; whoever is cancelled meanwhile leaves it to be dropped."""
        if not self.alive:
            raise ConnectionError("the connection to the broker was lost")
        answer = asyncio.get_running_loop().create_future()
        self._asked.append(answer)
        self._transport.write(request)
        try:
            async with asyncio.timeout(ANSWER_SECONDS_MAX):
                return await answer
        except TimeoutError:
            self.hang_up()
            raise ConnectionError("the broker does not answer") from None

    def hang_up(self) -> None:
        """Close at once."""
        self.alive = False
        self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The loop's word that there is a connection."""
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - what a stream has
        self._transport = transport
        self.alive = True

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        """The loop's word that there is none any more."""
        self.alive = False
        for answer in self._asked:
            if not answer.done():
                answer.set_exception(ConnectionError("the connection to the broker was lost"))
        self._asked.clear()

    def data_received(self, data: bytes) -> None:
        """Hand out every answer that is complete."""
        self._unread += data
        at = 0
        while at < len(self._unread):
            try:
                value, at = _parse(self._unread, at)
            except IndexError:
                break
            answer = self._asked.popleft()
            if answer.done():
                continue
            if isinstance(value, RedisError):
                answer.set_exception(value)
            else:
                answer.set_result(value)
        del self._unread[:at]


def _parse(data: bytearray, at: int) -> tuple[Any, int]:
    """The value that begins at `at`, and where it ends; IndexError when it is not all there."""
    end = data.find(b"\r\n", at)
    if end < 0:
        raise IndexError
    kind, head, at = data[at], data[at + 1 : end], end + 2
    if kind == 36:  # $: text of a length
        length = int(head)
        if length < 0:
            return None, at
        if len(data) < at + length + 2:
            raise IndexError
        return data[at : at + length].decode(), at + length + 2
    if kind == 58:  # :
        return int(head), at
    if kind == 42:  # *: an array
        items = []
        for _ in range(int(head)):
            item, at = _parse(data, at)
            items.append(item)
        return items, at
    text = head.decode()
    if kind == 45:  # -
        return _ERRORS.get(text.partition(" ")[0], ResponseError)(text), at
    return text, at
