"""An engine elsewhere, and a registry: CI builds and pushes, a server pulls and runs."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import harness
import pytest
from test_life_cycle import SOLO, there

SOCKET = "/var/run/docker.sock"


def pump(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)


def connect(client: socket.socket) -> None:
    with client, socket.socket(socket.AF_UNIX) as engine:
        engine.connect(SOCKET)
        asked = threading.Thread(target=pump, args=(client, engine))
        asked.start()
        pump(engine, client)
        with suppress(OSError):
            client.shutdown(socket.SHUT_RDWR)
        asked.join()


def relay(server: socket.socket) -> None:
    """What a context by TCP or SSH is: the engine's API, and nothing of this machine's files."""
    with suppress(OSError):
        while True:
            client, _ = server.accept()
            threading.Thread(target=connect, args=(client,), daemon=True).start()


@pytest.fixture
def context(engine: None) -> Iterator[str]:
    """A Docker context that leads to this engine as if it were another machine's."""
    name = f"life-{os.getpid()}"
    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=relay, args=(server,), daemon=True).start()
        port = server.getsockname()[1]
        harness.docker("context", "create", name, "--docker", f"host=tcp://127.0.0.1:{port}")
        try:
            yield name
        finally:
            harness.docker("context", "rm", "--force", name)


@pytest.fixture
def registry(engine: None, tmp_path: Path) -> Iterator[str]:
    """A registry of the test's own on loopback, where Docker needs no TLS."""
    program = shutil.which("docker-registry")
    if program is None:
        pytest.skip("needs docker-registry (Debian's package of that name)")
    with socket.create_server(("127.0.0.1", 0)) as found:
        port = found.getsockname()[1]
    config = tmp_path / "registry.yml"
    config.write_text(
        f"version: 0.1\nlog: {{level: error}}\nhttp: {{addr: '127.0.0.1:{port}'}}\n"
        f"storage: {{filesystem: {{rootdirectory: {json.dumps(str(tmp_path / 'store'))}}}}}\n"
    )
    with subprocess.Popen(
        [program, "serve", str(config)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        try:
            until = time.monotonic() + 20
            while time.monotonic() < until:
                with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                    break
                time.sleep(0.1)
            yield f"127.0.0.1:{port}/ci"
        finally:
            process.terminate()


def test_ci_pushes_and_a_server_elsewhere_pulls_runs_and_answers(
    context: str, registry: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = f"life-{os.getpid()}-ci"
    networks = ("--networks", f"10.{192 + os.getpid() % 60}.0.0/16")
    ci = harness.write(tmp_path / "ci", SOLO, name)
    server = harness.write(tmp_path / "server", SOLO, name)
    built = ci.seawall("build", "--offline", *networks, "--push", registry, "--json",
                       "--context", context)  # fmt: skip
    images = sorted(set(json.loads(built.stdout).values()))
    assert all(image.startswith(registry) for image in images)
    harness.docker("image", "rm", *images)

    unpushed = server.seawall("up", "--offline", "--no-build", *networks, "--registry",
                              f"{registry}-no", "--context", context, check=False)  # fmt: skip
    assert unpushed.returncode == 3
    assert "seawall build --push" in unpushed.stderr
    try:
        monkeypatch.setenv("SEAWALL_DOOR_TOKEN", "one-that-ci-and-people-share")
        where = ("--context", context)
        server.seawall("up", "--offline", "--no-build", *networks, "--registry", registry, *where)
        assert "heard me" in server.ask("me", *where).stdout
        # No file of the client's is mounted, and the volume holds the hash and not the token.
        mounts = server.inspect("keeper")["Mounts"]
        assert {m["Type"] for m in mounts} == {"volume"}
        assert "one-that" not in server.exec("keeper", "cat", "/run/secrets/door-token").stdout
        monkeypatch.setenv("SEAWALL_DOOR_TOKEN", "another")
        started = server.inspect("keeper")["State"]["StartedAt"]
        server.seawall("secrets", "--refresh", *where, check=False)
        assert "heard you" in server.ask("you", *where).stdout
        assert server.inspect("keeper")["State"]["StartedAt"] == started
        server.seawall("down", *where)
        left = there(server)
        assert (left["containers"], left["networks"]) == ([], [])
        assert len(left["volumes"]) == 2  # what broker and keeper know
    finally:
        server.remove()
        harness.docker("image", "rm", "--force", *images, check=False)
    assert there(server)["volumes"] == []


def test_without_a_build_or_a_registry_the_missing_images_are_named(
    engine: None, tmp_path: Path
) -> None:
    spec = {**SOLO, "seawall.yaml": SOLO["seawall.yaml"].replace("solo", f"solo-{os.getpid()}")}
    mesh = harness.write(tmp_path, spec, f"life-{os.getpid()}-none")
    done = mesh.seawall("up", "--offline", "--no-build", check=False)
    assert done.returncode == 3
    assert f"solo-{os.getpid()}/keeper" in done.stderr
    assert "--registry" in done.stderr
    assert there(mesh)["containers"] == []
