"""The scripts that change everything at once, and the one line on which they go to the broker.

Scripts asked for while others are on their way go together, in one pipeline: most of what a
command costs a keeper is the round, not the command. Knows nothing of what the scripts mean.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from importlib import resources
from typing import Any, NamedTuple

from redis.asyncio import ConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import ExponentialBackoff
from redis.exceptions import ConnectionError as BrokerAwayError
from redis.exceptions import NoScriptError, RedisError

from seawall.errors import Refused
from seawall.wire.profiles import KeeperPolicy

from .bells import stopped

NAMES = (
    "start", "take", "give_back", "renew", "authorize", "reclaim", "begin", "record",
    "release", "delegate", "result", "close", "progress", "cancel",
    "archive", "forget", "meter", "settle",
)  # fmt: skip
TOGETHER = {"record_begin": ("record", "begin")}
"""Two scripts as one, so that what the first refuses the second never does. The number of the
first's arguments comes before them, then the second's."""
ROUND_MAX = 64
"""Scripts in one pipeline."""
WAITING_MAX = 4096
"""Scripts that may wait for their round."""
ANSWER_SECONDS_MAX = 10.0
"""How long one round may take."""
STOP_SECONDS_MAX = 1.0
"""How long the last rounds may take when the keeper stops."""
TEXT_BYTES_MAX = 4000
"""Of an input, output or progress text in an event or dead letter; the task holds the whole."""
ROW_TEXT_BYTES_MAX = 500
"""Of an archived run's input and output in the list of runs; the file holds the whole."""
EVENT_BYTES = 120
"""What an event takes in the broker besides its text, about."""
DEAD_LETTERS_MAX = 1000
GIVE_BACKS_MAX = 20
"""How often a task may be given back before it costs an attempt."""
STEPS_MAX = 20_000
"""Steps that one task may begin."""
METER_SECONDS_MAX = 1800
"""How long a model call's usage is awaited; then all that was held for it counts as spent."""
IN_FLIGHT_MAX = 64
"""Model calls of one task whose usage is awaited."""

log = logging.getLogger("seawall.keeper")


class Asked(NamedTuple):
    """A script on its way, and where its answer goes."""

    text: str
    args: tuple[Any, ...]
    """Its hash, the number of keys, the keys and the arguments."""
    answer: asyncio.Future[Any]


class Scripts:
    """The scripts of one mesh. It belongs to the event loop that calls `start`."""

    def __init__(self, url: str, policy: KeeperPolicy, prefix: str) -> None:
        # No `socket_timeout`: for it redis-py starts a task and two timers a command, which is half
        # of what a command costs. The round below has one limit for all.
        pool = ConnectionPool.from_url(
            url,
            max_connections=1,
            decode_responses=True,
            socket_timeout=None,
            socket_connect_timeout=3,
            retry=Retry(ExponentialBackoff(cap=0.2, base=0.02), 2),
        )
        redis = Redis.from_pool(pool)
        # redis-py annotates answers as unions over sync and async, bytes and text.
        self._redis: Any = redis
        self._prefix = prefix
        self._texts = {
            name: (text, hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest())
            for name, text in _texts(policy).items()
        }
        self._waiting: list[Asked] = []
        self._asked = asyncio.Event()
        self._sender: asyncio.Task[None] | None = None
        self._stopping = False

    def start(self) -> None:
        """Begin to send."""
        self._sender = asyncio.create_task(self._send(), name="keeper scripts")

    async def stop(self) -> None:
        """Send what was asked for, then let go of the broker; what comes later is refused."""
        self._stopping = True
        self._asked.set()
        if self._sender:
            await asyncio.wait({self._sender}, timeout=STOP_SECONDS_MAX)
            await stopped(self._sender)
        await self._redis.aclose()

    async def run(self, script: str, *args: str | float) -> list[Any]:
        """Run one script; its answer without the leading `ok`. Raises Refused, RedisError."""
        if self._sender is None or self._stopping:
            raise BrokerAwayError("the keeper is stopping")
        if len(self._waiting) >= WAITING_MAX:
            raise Refused("busy", f"{WAITING_MAX} requests wait already", "Try again later")
        text, sha = self._texts[script]
        # Encoded here, so that what cannot be fails whoever sent it, and not its whole round.
        data = [arg.encode() if isinstance(arg, str) else arg for arg in args]
        answer = asyncio.get_running_loop().create_future()
        self._waiting.append(Asked(text, (sha, 1, self._prefix, *data), answer))
        self._asked.set()
        reply = await answer
        if reply[0] == "refused":
            raise Refused(*reply[1:4])
        return list(reply[1:])

    async def _send(self) -> None:
        """Round after round, each with what was asked for during the one before."""
        while not self._stopping or self._waiting:
            await self._asked.wait()
            round_, self._waiting = self._waiting[:ROUND_MAX], self._waiting[ROUND_MAX:]
            if not self._waiting:
                self._asked.clear()
            try:
                async with asyncio.timeout(ANSWER_SECONDS_MAX):
                    await self._round([asked for asked in round_ if not asked.answer.done()])
            except TimeoutError:
                _fail(round_, BrokerAwayError("the broker does not answer"))
            except RedisError as error:
                _fail(round_, error)
            except asyncio.CancelledError:
                _fail(round_ + self._waiting, BrokerAwayError("the keeper is stopping"))
                raise
            except Exception as error:
                log.exception("a round of scripts failed")
                _fail(round_, BrokerAwayError(str(error)))

    async def _round(self, round_: list[Asked]) -> None:
        pipe = self._redis.pipeline(transaction=False)
        for asked in round_:
            pipe.evalsha(*asked.args)
        replies = await pipe.execute(raise_on_error=False)
        for asked, reply in zip(round_, replies, strict=True):
            answered = reply
            if isinstance(reply, NoScriptError):  # the first time on this broker
                try:
                    answered = await self._redis.eval(asked.text, *asked.args[1:])
                except RedisError as error:
                    answered = error
            _settle(asked, answered)


def _settle(asked: Asked, reply: Any) -> None:
    if asked.answer.done():  # whoever asked has gone
        return
    if isinstance(reply, Exception):
        asked.answer.set_exception(reply)
    else:
        asked.answer.set_result(reply)


def _fail(round_: list[Asked], error: Exception) -> None:
    for asked in round_:
        _settle(asked, error)


def _texts(policy: KeeperPolicy) -> dict[str, str]:
    """Every script, with the policy's limits as constants."""
    folder = resources.files(__package__) / "lua"
    read = {n: (folder / f"{n}.lua").read_text("utf-8") for n in (*NAMES, "prelude", "epilogue")}
    bodies = {name: read[name] for name in NAMES}
    for name, (first, second) in TOGETHER.items():
        bodies[name] = (
            f"local function first(ARGV)\n{read[first]}\nend\n"
            f"local function second(ARGV)\n{read[second]}\nend\n"
            "local last = tonumber(ARGV[1]) + 1\n"
            "first({unpack(ARGV, 2, last)})\n"
            "return second({unpack(ARGV, last + 1)})"
        )
    head = _constants(policy) + read["prelude"] + "\nlocal function main()\n"
    tail = "\nend\n" + read["epilogue"]
    return {name: head + body + tail for name, body in bodies.items()}


def _constants(policy: KeeperPolicy) -> str:
    limits = policy.limits
    values: dict[str, float | None] = {
        "EVENTS_MAX": limits.events_max,
        "QUEUE_MAX": limits.queue_max,
        "RUNS_MAX": limits.runs_max,
        "FINISHED_MAX": limits.finished_runs_max,
        "JOURNAL_MAX": limits.journal_bytes_max,
        "ATTEMPTS_MAX": limits.attempts_max,
        "LEASE": limits.lease_seconds,
        "STALL_GRACE": limits.stall_grace_seconds,
        "DAY_USD": policy.day.usd_micros,
        "DAY_TOKENS": policy.day.tokens,
        "TEXT_MAX": TEXT_BYTES_MAX,
        "ROW_TEXT_MAX": ROW_TEXT_BYTES_MAX,
        "EVENT_BYTES": EVENT_BYTES,
        "LIVE_MAX": limits.live_bytes_max,
        "DEAD_MAX": DEAD_LETTERS_MAX,
        "GIVE_BACKS_MAX": GIVE_BACKS_MAX,
        "STEPS_MAX": STEPS_MAX,
        "METERED": int(policy.metered),
        "METER_SECONDS": METER_SECONDS_MAX,
        "IN_FLIGHT_MAX": IN_FLIGHT_MAX,
    }
    lines = (
        f"local {k} = {repr(v) if v is not None else chr(39) * 2}\n" for k, v in values.items()
    )
    return "".join(lines)
