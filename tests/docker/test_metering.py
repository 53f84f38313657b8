"""A hostile client in a real agent's container cannot spend more than the budget; nor twice."""

from __future__ import annotations

import json
from collections.abc import Iterator

import guarded as base
import harness
import pytest
from guarded import Guarded, eventually

SAID = {"role": "user", "content": "hi"}
CLAUDE = {"model": "claude-sonnet-4-5", "max_tokens": 2000,
          "messages": [{"role": "user", "content": "hi"}]}  # fmt: skip
CHAT = {"model": "house", "max_completion_tokens": 2000,
        "messages": [SAID]}  # fmt: skip
MODEL, OTHER = "/models/0/chat/completions", "/models/1/v1/messages"
BUDGET = 30_000
HELD = 2000
"""What one of these calls holds, a little less."""


@pytest.fixture(scope="module")
def metered(team: harness.Mesh, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    """The guarded mesh under another name, with a budget that a few calls use up."""
    folder = tmp_path_factory.mktemp("metered")
    text = base.SPEC["seawall.yaml"].replace("name: guarded", "name: metered")
    text = text.replace("tokens: 100000", f"tokens: {BUDGET}")
    files = base.SPEC | {"seawall.yaml": text}
    with base.started(team, folder, files) as mesh:
        yield mesh


def used(mesh: Guarded, run: str) -> int:
    """Tokens of a run, as people see them."""
    said = mesh.door(f"/v1/runs/{run}")["usage"]
    return int(said["input_tokens"] + said["output_tokens"])


def test_an_honest_run_is_charged_once_what_its_gateway_saw(metered: Guarded) -> None:
    run = metered.run()
    eventually(60, lambda: metered.door(f"/v1/runs/{run}")["state"] not in ("queued", "running"))
    view = metered.door(f"/v1/runs/{run}")
    assert view["state"] == "done", view
    events = metered.door(f"/v1/runs/{run}/events?wait=0")
    steps = [e["data"]["usage"] for e in events if e["kind"] == "step.done"]
    told = sum(step["input_tokens"] + step["output_tokens"] for step in steps)
    assert told > 0
    assert used(metered, run) == told


def test_a_gateway_killed_in_mid_stream_costs_what_was_held_and_the_step_is_asked_again(
    metered: Guarded,
) -> None:
    run = metered.run()
    gateway = metered.mesh.container("gateway-agent-asker")

    def streaming() -> bool:
        return any(e["kind"] == "text" for e in metered.door(f"/v1/runs/{run}/events?wait=0"))

    eventually(30, streaming)
    harness.docker("kill", gateway)
    harness.docker("start", gateway)
    eventually(90, lambda: metered.door(f"/v1/runs/{run}")["state"] not in ("queued", "running"))
    view = metered.door(f"/v1/runs/{run}")
    assert view["state"] == "done", view
    events = metered.door(f"/v1/runs/{run}/events?wait=0")
    assert [e["data"]["key"] for e in events if e["kind"] == "step.done"].count("model#1") == 1
    notes = [e["data"]["text"] for e in events if e["kind"] == "note"]
    assert [note for note in notes if "model#1" in note and "all that was held" in note], notes
    assert used(metered, run) > 4096


@pytest.fixture(scope="module")
def hostile(metered: Guarded) -> Guarded:
    """Intruders stand in the agents' places; tests above this line have honest ones."""
    metered.replace_agents()
    return metered


def lease(mesh: Guarded) -> tuple[str, str]:
    """A run of its own: its id, and a live token."""
    mesh.run()
    taken = mesh.take("asker")
    return str(taken["run"]), str(taken["token"])


ASK = """\
import http.client, json, sys
from concurrent.futures import ThreadPoolExecutor
path, token, body, calls, threads, cut = json.loads(sys.argv[1])
def one(_):
    link = http.client.HTTPConnection("gateway", 8080, timeout=60)
    link.request("POST", path, body, {"authorization": "Bearer " + token})
    answer = link.getresponse()
    if not cut:
        answer.read()
    link.close()
    return answer.status
with ThreadPoolExecutor(threads) as pool:
    print(json.dumps(list(pool.map(one, range(calls)))))
"""


def at_once(
    mesh: Guarded, token: str, *, calls: int, threads: int = 30, cut: bool = False
) -> list[int]:
    """Statuses of streamed calls from the intruder's place; `cut` hangs up once one begins."""
    body = json.dumps({**CHAT, "stream": True, "stream_options": {"include_usage": True}})
    given = json.dumps([MODEL, token, body, calls, threads, cut])
    done = harness.docker("exec", mesh.thief("asker"), "python3", "-c", ASK, given)
    found: list[int] = json.loads(done.stdout)
    return found


def test_direct_calls_end_with_a_402_and_what_the_json_answers_said_is_counted(
    hostile: Guarded,
) -> None:
    run, token = lease(hostile)
    hostile.keep("asker", token)
    before = len(hostile.asked())
    # Said by the system: the fake provider repeats what a user says, however long it may answer.
    told = {"role": "system", "content": "word " * 6000}
    long = {**CHAT, "messages": [told, SAID]}
    statuses = []
    for _ in range(20):
        status, said = hostile.ask("asker", MODEL, long, token=token)
        statuses.append(status)
        if status != 200:
            break
    assert statuses[0] == 200
    assert statuses[-1] == 402
    assert said["code"] == "budget"
    assert "budgets/run/tokens" in said["remedy"]
    assert len(hostile.asked()) - before == len(statuses) - 1
    spent = used(hostile, run)
    assert 0 < spent <= BUDGET
    # Every call was settled by its answer: nothing is held any more but what was counted.
    assert spent > (len(statuses) - 1) * 6000


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (MODEL, {**CHAT, "stream": True, "stream_options": {"include_usage": True}}),
        (OTHER, {**CLAUDE, "stream": True}),
        (OTHER, CLAUDE),
    ],
    ids=["chat stream", "messages stream", "messages"],
)
def test_usage_in_an_answer_settles_what_was_held(
    hostile: Guarded, path: str, body: dict[str, object]
) -> None:
    run, token = lease(hostile)
    assert hostile.ask("asker", path, body, token=token)[0] == 200
    eventually(5, lambda: used(hostile, run) > 0)
    assert used(hostile, run) < HELD


def test_a_stream_that_hides_its_usage_is_charged_in_full(hostile: Guarded) -> None:
    run, token = lease(hostile)
    assert hostile.ask("asker", MODEL, {**CHAT, "stream": True}, token=token)[0] == 200
    eventually(5, lambda: used(hostile, run) >= HELD)


def test_calls_in_parallel_do_not_overshoot(hostile: Guarded) -> None:
    run, token = lease(hostile)
    statuses = at_once(hostile, token, calls=30)
    assert sorted(set(statuses)) == [200, 402]
    # All are asked before the first is answered: what is held for each is what lets it pass.
    assert 10 < statuses.count(200) <= BUDGET // HELD
    eventually(5, lambda: 0 < used(hostile, run) <= BUDGET)


def test_calls_that_are_cut_before_their_usage_stay_held(hostile: Guarded) -> None:
    run, token = lease(hostile)
    statuses = at_once(hostile, token, calls=30, cut=True, threads=1)
    assert sorted(set(statuses)) == [200, 402]
    assert statuses.count(200) <= BUDGET // HELD
    assert used(hostile, run) <= BUDGET


def test_another_model_of_the_same_key_is_refused(hostile: Guarded) -> None:
    _, token = lease(hostile)
    status, said = hostile.ask("asker", MODEL, {**CHAT, "model": "dearer"}, token=token)
    assert (status, said["code"]) == (403, "grant")


def test_the_keepers_side_for_gateways_is_out_of_an_agents_reach(hostile: Guarded) -> None:
    run, token = lease(hostile)
    for path in ("/gateway/settle", "/keeper/gateway/settle", "/keeper/v1/../gateway/settle",
                 "/keeper/v1/gateway/settle"):  # fmt: skip
        status, _ = hostile.ask("asker", path, {"usage": {}}, token=token,
                                x_seawall_reservation="guess")  # fmt: skip
        assert status in (403, 404), path
    # A forged reservation on a call does not pass for the keeper's.
    assert hostile.ask("asker", MODEL, CHAT, token=token, x_seawall_reservation="x")[0] == 200
    eventually(5, lambda: 0 < used(hostile, run) < HELD)


def test_a_request_that_is_too_large_is_a_413_with_a_reason(hostile: Guarded) -> None:
    _, token = lease(hostile)
    code = """\
import http.client, sys
link = http.client.HTTPConnection("gateway", 8080, timeout=20)
body = b'{"model":"house","x":"' + b"y" * (9 * 1024 ** 2) + b'"}'
link.request("POST", sys.argv[1], body, {"authorization": "Bearer " + sys.argv[2]})
answer = link.getresponse()
print(answer.status, answer.read().decode())
"""
    done = harness.docker("exec", hostile.thief("asker"), "python3", "-c", code, MODEL, token)
    status, _, said = done.stdout.partition(" ")
    assert status == "413", done.stdout
    assert json.loads(said)["code"] == "payload"
