"""Keys and models through the gateway: added there and nowhere else, to the right server alone."""

from __future__ import annotations

import hashlib
import json
import subprocess
import tarfile
import tempfile
from itertools import pairwise
from pathlib import Path

import pytest
from guarded import CANARY, Guarded, eventually
from harness import docker
from intruder import attack
from test_identity import CHAT, MODEL

CLAUDE = {"model": "claude-sonnet-4-5", "max_tokens": 9,
          "messages": [{"role": "user", "content": "hi"}]}  # fmt: skip
KEY = hashlib.sha256(CANARY.encode()).hexdigest()


@pytest.fixture(scope="module")
def token(guarded: Guarded) -> str:
    """A fresh lease of the asker's."""
    guarded.run()
    token = str(guarded.take("asker")["token"])
    guarded.keep("asker", token)
    return token


def test_a_question_is_answered_over_tls_with_the_key_from_the_gateway(guarded: Guarded) -> None:
    assert "You said: hello there" in guarded.answer
    first = guarded.asked()[0]
    assert (first["key"], first["host"]) == (KEY, "provider.test")
    assert not [n for n in first["names"] if n.startswith("x-seawall")]


def test_each_provider_gets_its_own_key(guarded: Guarded, token: str) -> None:
    assert guarded.ask("asker", "/models/1/v1/messages", CLAUDE, token=token)[0] == 200
    last = guarded.asked()[-1]
    assert last["key"] == hashlib.sha256(f"{CANARY}-other".encode()).hexdigest()
    assert "authorization" not in last["names"]


@pytest.mark.parametrize(
    "number",
    [2, 3, 4],
    ids=["another name's certificate", "unknown CA", "a private address that nobody allowed"],
)
def test_a_server_that_does_not_prove_its_name_is_told_nothing(
    guarded: Guarded, token: str, number: int
) -> None:
    before = len(guarded.asked())
    assert guarded.ask("asker", f"/models/{number}/chat/completions", CHAT, token=token)[0] == 503
    assert len(guarded.asked()) == before


def test_an_agents_own_key_does_not_pass(guarded: Guarded, token: str) -> None:
    given = {"x_api_key": "mine", "cookie": "mine", "proxy_authorization": "mine"}
    assert guarded.ask("asker", MODEL, CHAT, token=token, **given)[0] == 200
    last = guarded.asked()[-1]
    assert last["key"] == KEY
    assert not {"x-api-key", "cookie", "proxy-authorization"} & set(last["names"])


def test_events_pass_one_by_one(guarded: Guarded, token: str) -> None:
    headers = {"authorization": f"Bearer {token}", "content-type": "application/json"}
    body = json.dumps({**CHAT, "stream": True})
    times = attack(guarded.thief("asker"), "stream", MODEL, headers, body)
    gaps = [b - a for a, b in pairwise(times)]
    assert len(gaps) >= 3
    assert min(gaps) > 0.1  # the provider waits 0.3 s before each: a buffer would give them at once


def test_a_new_key_counts_without_a_restart_and_no_key_sends_nothing(
    guarded: Guarded, token: str
) -> None:
    file = guarded.secret_file("asker", "HOUSE_KEY")
    started = guarded.mesh.inspect("gateway-agent-asker")["State"]["StartedAt"]

    def put(value: str) -> None:
        new = file.with_name(".new")
        new.write_text(value)
        new.chmod(0o444)
        new.replace(file)

    def status() -> int:
        return guarded.ask("asker", MODEL, CHAT, token=token)[0]

    try:
        put(f"{CANARY}-rotated")
        rotated = hashlib.sha256(f"{CANARY}-rotated".encode()).hexdigest()
        eventually(10, lambda: status() == 200 and guarded.asked()[-1]["key"] == rotated)
        put("")
        eventually(10, lambda: status() == 401)
        before = len(guarded.asked())
        assert status() == 401
        assert len(guarded.asked()) == before
    finally:
        put(CANARY)
    eventually(10, lambda: status() == 200)
    assert guarded.mesh.inspect("gateway-agent-asker")["State"]["StartedAt"] == started


def test_no_key_is_anywhere_but_in_the_gateways_folder(guarded: Guarded) -> None:
    places = {}
    for name, container in guarded.containers().items():
        places[f"{name} inspect"] = docker("inspect", container).stdout
        done = docker("logs", container)
        places[f"{name} log"] = done.stdout + done.stderr
        places[f"{name} top"] = docker("top", container, check=False).stdout
        if not name.startswith("gateway"):
            code = "cat /proc/[0-9]*/environ /proc/[0-9]*/cmdline 2>/dev/null; ls -R /run/secrets"
            places[f"{name} inside"] = docker("exec", container, "sh", "-c", code,
                                              check=False).stdout  # fmt: skip
    home = guarded.mesh.folder / ".seawall" / "compose" / guarded.mesh.project
    for path in home.rglob("*"):
        if path.is_file() and "secrets" not in path.relative_to(home).parts[:1]:
            places[str(path)] = path.read_text(errors="replace")
    processes = subprocess.run(["ps", "axww"], capture_output=True, text=True, check=True)
    places["processes of the host"] = processes.stdout
    assert [name for name, text in places.items() if CANARY in text] == []


def test_no_key_is_in_a_layer_of_an_image(guarded: Guarded) -> None:
    chosen = [c for n, c in guarded.containers().items() if n.startswith(("gateway", "tool"))]
    images = set(docker("inspect", "--format", "{{.Image}}", *chosen).stdout.split())
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "images.tar"
        docker("save", "--output", str(file), *images, timeout=300)
        found = []
        with tarfile.open(file) as archive:
            for member in archive:
                content = archive.extractfile(member)
                text = content.read() if content else b""
                if CANARY.encode() in text:
                    found.append(member.name)
    assert found == []


def test_the_folder_of_secrets_is_the_persons_alone(guarded: Guarded) -> None:
    folder = guarded.secret_file("asker", "HOUSE_KEY").parents[1]
    assert folder.stat().st_mode & 0o077 == 0
