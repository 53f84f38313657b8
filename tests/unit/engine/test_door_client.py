"""People's client of the keeper: it waits for a keeper that is being started again."""

from __future__ import annotations

import asyncio
import json

import httpx
import pytest

from seawall.engine import door_client
from seawall.engine.door_client import DoorClient
from seawall.errors import OperatorError
from seawall.runtime.caller import Caller
from seawall.wire.messages import StartRun

VIEW = {"run": "r", "agent": "a", "state": "queued", "input": "x", "started": 1.0}


def started(failures: int) -> list[str]:
    """Start a run behind a door that has no keeper at first; the key of each request."""
    keys: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        keys.append(json.loads(request.content)["key"])
        if len(keys) <= failures:
            return httpx.Response(503, text="no healthy upstream")
        return httpx.Response(200, json=VIEW)

    caller = Caller(
        httpx.MockTransport(answer), "http://door", pauses=[0.0] * len(door_client.PAUSES_SECONDS)
    )
    asyncio.run(DoorClient(caller).start(StartRun(input="x")))
    return keys


def test_a_start_that_found_no_keeper_is_sent_again_as_the_same_run() -> None:
    keys = started(failures=5)
    assert len(keys) == 6
    assert len(set(keys)) == 1
    assert started(failures=0) != started(failures=0)


def test_a_keeper_that_stays_away_is_told() -> None:
    with pytest.raises(OperatorError, match="HTTP 503"):
        started(failures=100)
