"""A broker behind TLS with a private CA: `--broker rediss://…?ssl_ca_certs=FILE`."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from certificates import Authority

from seawall.engine.broker import open_broker
from seawall.engine.dev import in_process
from seawall.engine.door_client import DoorClient
from seawall.errors import OperatorError
from seawall.keeper.door import door_app
from seawall.keeper.store import Store
from seawall.wire.messages import StartRun
from seawall.wire.profiles import KeeperPolicy

pytestmark = pytest.mark.anyio


@dataclass(frozen=True)
class Secured:
    port: int
    ours: Path
    other: Path

    def url(self, ca: Path | None, host: str = "127.0.0.1", scheme: str = "rediss") -> str:
        query = f"?ssl_ca_certs={ca}" if ca else ""
        return f"{scheme}://:hush@{host}:{self.port}/0{query}"


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    binary = shutil.which("redis-server")  # the embedded Valkey is built without TLS
    if not binary:
        pytest.skip("there is no redis-server on PATH; apt install redis-server")
    folder = tmp_path_factory.mktemp("tls")
    ours, other = Authority.make(folder, "ours"), Authority.make(folder, "other")
    certificate, key = ours.vouch(folder, "127.0.0.1")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [
        binary, "--port", "0", "--tls-port", str(port), "--bind", "127.0.0.1", "--save", "",
        "--tls-cert-file", str(certificate), "--tls-key-file", str(key), "--tls-auth-clients", "no",
        "--requirepass", "hush", "--dir", str(folder), "--loglevel", "warning",
    ]  # fmt: skip
    server = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        until = time.monotonic() + 10
        while not answers(port):
            if server.poll() is not None or time.monotonic() > until:
                server.kill()
                said = server.communicate()[0]
                if "tls" in said.lower():
                    pytest.skip(f"this redis-server is built without TLS: {said[-200:]}")
                pytest.fail(f"redis-server did not start: {said[-500:]}")
            time.sleep(0.02)
        yield Secured(port, ours.path, other.path)
    finally:
        server.kill()
        server.communicate()


def answers(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), 1):
            return True
    except OSError:
        return False


async def refused(url: str, folder: Path) -> str:
    with pytest.raises(OperatorError) as error:
        async with open_broker(url, folder):
            pass
    assert "hush" not in str(error.value)
    return str(error.value)


async def test_a_keeper_works_through_tls(secured: Secured, tmp_path: Path) -> None:
    policy = KeeperPolicy(mesh="tls", main="a", delegates={"a": ()})
    async with (
        open_broker(secured.url(secured.ours), tmp_path) as url,
        await Store.connect(url, policy) as store,
    ):
        door = DoorClient(in_process(door_app(store)))
        view = await door.start(StartRun(input="x"))
        assert [e.kind for e in await door.events(view.run)] == ["run.started", "task.queued"]


async def test_a_server_that_the_ca_does_not_vouch_for_is_refused(
    secured: Secured, tmp_path: Path
) -> None:
    for ca in (secured.other, None):
        said = await refused(secured.url(ca), tmp_path)
        assert f"the certificate of 127.0.0.1:{secured.port} is not accepted" in said
        assert "ssl_ca_certs" in said


async def test_a_certificate_for_another_name_is_refused(secured: Secured, tmp_path: Path) -> None:
    said = await refused(secured.url(secured.ours, host="localhost"), tmp_path)
    assert "is not accepted" in said
    assert "localhost" in said


async def test_a_ca_file_that_is_not_there_is_named(secured: Secured, tmp_path: Path) -> None:
    said = await refused(secured.url(tmp_path / "missing.pem"), tmp_path)
    assert "missing.pem" in said
    (tmp_path / "empty.pem").write_text("nothing\n")
    assert "empty.pem" in await refused(secured.url(tmp_path / "empty.pem"), tmp_path)


async def test_speaking_plainly_to_it_is_no_answer(secured: Secured, tmp_path: Path) -> None:
    assert "no server answers" in await refused(secured.url(None, scheme="redis"), tmp_path)
