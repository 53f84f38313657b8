"""Scripts share rounds, and nothing else: who fails, leaves or floods does it alone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from redis.exceptions import ConnectionError as BrokerAwayError

from seawall.engine.broker import find_server, serve
from seawall.errors import Refused
from seawall.keeper.scripts import ROUND_MAX, WAITING_MAX
from seawall.keeper.store import Store
from seawall.wire.profiles import KeeperPolicy

pytestmark = pytest.mark.anyio
POLICY = KeeperPolicy(mesh="m", main="a", delegates={"a": ()})


@pytest.fixture
async def store(tmp_path: Path, anyio_backend: str) -> AsyncIterator[Store]:
    with serve(find_server(), tmp_path) as url:
        async with Store(url, POLICY) as opened:
            yield opened


async def code(store: Store, run: str = "none") -> str:
    with pytest.raises(Refused) as refused:
        await store.run("cancel", run, "x")
    return refused.value.code


async def test_more_than_a_round_at_once_are_all_answered(store: Store) -> None:
    found = await asyncio.gather(*(code(store, f"run{n}") for n in range(3 * ROUND_MAX)))
    assert found == ["unknown"] * 3 * ROUND_MAX


async def test_an_argument_that_cannot_be_sent_fails_alone(store: Store) -> None:
    others = [asyncio.create_task(code(store)) for _ in range(5)]
    with pytest.raises(UnicodeEncodeError):
        await store.run("cancel", "\ud800", "x")
    assert await asyncio.gather(*others) == ["unknown"] * 5


async def test_an_asker_that_leaves_stops_nobody(store: Store) -> None:
    tasks = [asyncio.create_task(code(store)) for _ in range(6)]
    await asyncio.sleep(0)
    for task in tasks[::2]:
        task.cancel()
    found = await asyncio.gather(*tasks, return_exceptions=True)
    assert found[1::2] == ["unknown"] * 3
    assert await code(store) == "unknown"


async def test_what_waits_is_bounded(store: Store) -> None:
    tasks = [asyncio.create_task(store.run("renew", "x", "y", "z")) for _ in range(WAITING_MAX + 9)]
    found = await asyncio.gather(*tasks, return_exceptions=True)
    codes = [error.code for error in found if isinstance(error, Refused)]
    assert (codes.count("busy"), codes.count("lease_lost")) == (9, WAITING_MAX)


async def test_a_keeper_that_stops_answers_what_was_asked_and_no_more(store: Store) -> None:
    asked = asyncio.create_task(code(store))
    await asyncio.sleep(0)
    await store.aclose()
    assert await asked == "unknown"
    with pytest.raises(BrokerAwayError):
        await store.run("cancel", "none", "x")
