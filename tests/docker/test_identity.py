"""Who an agent may claim to be: stolen, old and forged leases, headers, tricks with paths."""

from __future__ import annotations

import time
from typing import Any

import pytest
from guarded import Guarded
from intruder import addresses, attack

TOOL, MODEL = "/tools/text/mcp", "/models/0/chat/completions"
CHAT = {"model": "house", "messages": [{"role": "user", "content": "hi"}]}
LEASE_SECONDS = 15


def call(function: str) -> dict[str, Any]:
    """An MCP call of one function."""
    params = {"name": function, "arguments": {"text": "a b"}}
    return {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}


@pytest.fixture(scope="module")
def leases(guarded: Guarded) -> dict[str, str]:
    """Tokens: an asker's that is live, its helper's, a finished one, one delivered anew."""
    guarded.run()
    finished = guarded.take("asker")["token"]
    status, _ = guarded.ask("asker", "/keeper/v1/finish", {"output": "done"}, token=finished)
    assert status == 200
    guarded.run()
    redelivered = guarded.take("asker")["token"]
    time.sleep(LEASE_SECONDS + 1)
    live = guarded.take("asker")["token"]
    guarded.keep("asker", live)
    work = {"key": "one", "agent": "helper", "input": "help"}
    assert guarded.ask("asker", "/keeper/v1/delegate", work, token=live)[0] == 200
    helper = guarded.take("helper")["token"]
    guarded.keep("helper", helper)
    return {"live": live, "helper": helper, "finished": finished, "redelivered": redelivered,
            "forged": live.partition(".")[0] + "." + "A" * 32}  # fmt: skip


@pytest.fixture
def live(guarded: Guarded, leases: dict[str, str]) -> str:
    """The asker's token; something renews it."""
    return leases["live"]


def test_a_live_lease_opens_keeper_tool_and_model(guarded: Guarded, live: str) -> None:
    status, said = guarded.ask("asker", TOOL, call("measure"), token=live)
    assert (status, said["result"]["content"][0]["text"]) == (200, "2 words")
    assert guarded.ask("asker", MODEL, CHAT, token=live)[0] == 200


@pytest.mark.parametrize("kind", ["helper", "finished", "redelivered", "forged", "none"])
def test_anothers_an_old_a_forged_or_no_lease_opens_nothing(
    guarded: Guarded, leases: dict[str, str], live: str, kind: str
) -> None:
    before = len(guarded.asked())
    given = {"token": leases[kind]} if kind != "none" else {}
    for path, message in ((TOOL, call("measure")), (MODEL, CHAT)):
        status, fault = guarded.ask("asker", path, message, **given)
        assert status == 403, path
        assert set(fault) == {"code", "reason", "remedy"}
    for path, message in (("renew", {}), ("progress", {"text": "x"}), ("finish", {"output": "x"})):
        status, _ = guarded.ask("asker", f"/keeper/v1/{path}", message, **given)
        if (path, kind) == ("finish", "finished"):
            assert status == 200  # sent twice it counts once, and changes nothing
            continue
        assert status in {400, 401, 403, 409}, path
        assert status != 400 or path == "progress"
    assert len(guarded.asked()) == before


@pytest.mark.parametrize(
    "header", ["x-seawall-agent", "X-SEAWALL-AGENT", "x-seawall-run", "X-Seawall-Task"]
)
def test_what_an_agent_says_of_itself_is_overwritten(
    guarded: Guarded, leases: dict[str, str], live: str, header: str
) -> None:
    posing = f"{header}: asker\r\n{header}: helper\r\n"
    body = '{"replica":"x","wait_seconds":0}'
    text = (
        f"POST /keeper/v1/renew HTTP/1.1\r\nhost: gateway\r\n{posing}connection: close\r\n"
        f"authorization: Bearer {leases['live']}\r\ncontent-length: {len(body)}\r\n\r\n{body}"
    )
    (as_helper,) = attack(guarded.thief("helper"), "raw", [text])
    (as_asker,) = attack(guarded.thief("asker"), "raw", [text])
    assert as_helper.startswith("HTTP/1.1 403")
    assert '"identity"' in as_helper
    assert as_asker.startswith("HTTP/1.1 200")


TRICKS = {
    "up": "GET /keeper/../models/0/v1/files",
    "up twice": "GET /keeper/v1/../../tools/text/mcp",
    "up, escaped": "GET /keeper/%2e%2e/models/0/v1/files",
    "slash, escaped": "GET /keeper/v1%2f..%2f..%2ftools/text/mcp",
    "backslash": "GET /keeper/v1/\\..\\..\\tools/text/mcp",
    "backslash, escaped": "GET /keeper/v1/%5c..%5c..",
    "two slashes": "GET //keeper//v1//runs",
    "people's side": "GET /keeper/v1/runs",
    "people's side, absolute": "GET http://keeper:8081/v1/runs",
    "broker, absolute": "GET http://broker:6379/",
    "outside, absolute": "GET http://example.com/",
    "tunnel": "CONNECT keeper:8081",
    "tunnel to a provider": "CONNECT provider.test:443",
    "zero byte": "GET /keeper/v1/x%00",
    "asterisk": "OPTIONS *",
    "trace": "TRACE /keeper/v1/renew",
    "other case": "GET /Keeper/v1/runs",
    "another tool": "POST /tools/other/mcp",
    "another model": "POST /models/9/chat/completions",
    "the account's files": "GET /models/0/files",
    "other calls of the provider": "POST /models/0/embeddings",
    "a call below the call": "POST /models/0/chat/completions/../../files",
    "the call, read": "GET /models/0/chat/completions",
}


def test_tricks_with_paths_reach_no_other_route(guarded: Guarded, live: str) -> None:
    before = len(guarded.asked())
    head = f"host: gateway\r\nauthorization: Bearer {live}\r\nconnection: close\r\n\r\n"
    said = attack(
        guarded.thief("asker"), "raw", [f"{t} HTTP/1.1\r\n{head}" for t in TRICKS.values()]
    )
    got = {name: answer.split(" ", 2)[1] for name, answer in zip(TRICKS, said, strict=True)}
    # The bridge takes POST alone; what is there at all says so.
    assert {n: s for n, s in got.items() if s not in {"400", "403", "404", "405"}} == {}
    assert len(guarded.asked()) == before


SMUGGLED = {
    "both lengths": "transfer-encoding: chunked\r\ncontent-length: 4\r\n",
    "two lengths": "content-length: 4\r\ncontent-length: 5\r\n",
    "odd coding": "transfer-encoding: xchunked\r\n",
    "space before colon": "x-seawall-agent : helper\r\n",
    "underscore": "x_seawall_agent: helper\r\n",
    "mixed underscore": "X-Seawall_Agent: helper\r\n",
    "bare return": "x: a\rx-seawall-agent: helper\r\n",
    "zero byte": "x: \0\r\n",
}


def test_smuggling_is_refused_before_any_route(guarded: Guarded) -> None:
    texts = [f"POST /keeper/v1/take HTTP/1.1\r\nhost: gateway\r\n{head}\r\n0\r\n\r\n"
             for head in SMUGGLED.values()]  # fmt: skip
    said = attack(guarded.thief("asker"), "raw", texts)
    got = {name: answer[9:12] for name, answer in zip(SMUGGLED, said, strict=True)}
    assert {n: s for n, s in got.items() if s not in {"400", "501"}} == {}
    assert not any("keeper" in answer.split("\r\n\r\n")[-1] for answer in said)


def test_upgrades_are_not_taken_up(guarded: Guarded, live: str) -> None:
    heads = ("upgrade: h2c\r\nhttp2-settings: AAMAAABkAAQAAP__\r\nconnection: upgrade",
             "upgrade: websocket\r\nsec-websocket-key: eA==\r\nconnection: upgrade")  # fmt: skip
    rest = f"host: gateway\r\nauthorization: Bearer {live}\r\n"
    paths = ("/keeper/v1/runs", TOOL, MODEL)
    texts = [f"GET {p} HTTP/1.1\r\n{rest}{head}\r\n\r\n" for head in heads for p in paths]
    assert not [s for s in attack(guarded.thief("asker"), "raw", texts) if " 101 " in s[:20]]


def test_what_was_not_granted_is_refused_at_gateway_and_bridge(
    guarded: Guarded, leases: dict[str, str], live: str
) -> None:
    status, fault = guarded.ask("helper", TOOL, call("measure"), token=leases["helper"])
    assert (status, fault["code"]) == (403, "grant")
    status, said = guarded.ask("asker", TOOL, call("erase"), token=live)
    assert status == 200
    assert said["result"]["isError"]
    assert "no function 'erase'" in said["result"]["content"][0]["text"]
    assert "erased" not in said["result"]["content"][0]["text"]


def test_the_peoples_side_asks_for_the_doors_token_even_inside(guarded: Guarded) -> None:
    keeper = addresses(guarded.mesh)["keeper"]["keeper"]
    code = f"""
import urllib.request, urllib.error
try: print(urllib.request.urlopen("http://{keeper}:8081/v1/runs", timeout=5).status)
except urllib.error.HTTPError as error: print(error.code)
"""
    assert guarded.mesh.python("gateway-agent-asker", code).stdout.strip() == "401"
