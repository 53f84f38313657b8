"""What the keeper decides without a broker: ids, tokens, budgets, bells, a hang-up."""

from __future__ import annotations

import asyncio

import pytest
from redis.asyncio import Redis

from seawall.errors import Refused
from seawall.keeper.bells import WAITS_MAX, Bells
from seawall.keeper.budgets import lowered
from seawall.keeper.leases import holder, new_secret
from seawall.keeper.runs import new_run_id
from seawall.keeper.tasks import base32
from seawall.wire.profiles import Budget


def test_run_ids_are_short_sortable_and_differ() -> None:
    assert base32(31, 2) == "0z"
    assert base32(32, 2) == "10"
    ids = {new_run_id() for _ in range(2000)}
    assert len(ids) == 2000
    assert {len(one) for one in ids} == {15}
    assert sorted(base32(n, 9) for n in (5, 500, 50)) == [base32(n, 9) for n in (5, 50, 500)]


@pytest.mark.parametrize(
    "header",
    ["", "Bearer", "Bearer x", "Bearer .x", "Bearer x.", "Basic t.s", "Bearer t." + "s" * 300],
)
def test_a_malformed_token_is_refused(header: str) -> None:
    with pytest.raises(Refused) as refused:
        holder(header, "chief")
    assert refused.value.code == "token"


def test_a_token_is_read_and_its_secret_hashed() -> None:
    secret, digest = new_secret()
    assert holder(f"bearer run-main.{secret}", "chief") == ("run-main", digest, "chief")
    assert secret not in digest
    assert new_secret()[0] != secret


def test_only_what_a_run_names_is_lowered() -> None:
    mesh = Budget(usd_micros=100, turns=9, depth=5)
    assert lowered(mesh, None) == mesh
    assert lowered(mesh, Budget(turns=3, tokens=7)) == Budget(
        usd_micros=100, turns=3, depth=5, tokens=7
    )
    with pytest.raises(Refused, match="turns: the mesh allows a run 9, and 10 was asked for"):
        lowered(mesh, Budget(turns=10))
    with pytest.raises(Refused, match="negative"):
        lowered(mesh, Budget(turns=-1))


def test_queued_work_wakes_one_and_news_wakes_all() -> None:
    async def scenario() -> None:
        bells = Bells(Redis(), "x")
        with bells.listen("q:a") as one, bells.listen("q:a") as two:
            bells.ring("q:a")
            assert [one.rung.is_set(), two.rung.is_set()] == [True, False]
            bells.ring("q:a")
            assert two.rung.is_set()
        with bells.listen("e:a") as one, bells.listen("e:a") as two:
            bells.ring("e:a")
            assert [one.rung.is_set(), two.rung.is_set()] == [True, True]
        bells.ring("e:a")

    asyncio.run(scenario())


def test_who_leaves_passes_its_wake_up_on() -> None:
    async def scenario() -> None:
        bells = Bells(Redis(), "x")
        first = bells.listen("q:a")
        first.__enter__()
        with bells.listen("q:a") as second:
            bells.ring("q:a")
            assert not second.rung.is_set()
            first.__exit__(None, None, None)
            assert second.rung.is_set()

    asyncio.run(scenario())


def test_waiting_requests_are_bounded() -> None:
    async def scenario() -> None:
        bells = Bells(Redis(), "x")
        held = [bells.listen("t:x") for _ in range(WAITS_MAX)]
        for one in held:
            one.__enter__()
        with pytest.raises(Refused, match="wait already"):
            bells.listen("t:x").__enter__()
        for one in held:
            one.__exit__(None, None, None)

    asyncio.run(scenario())
