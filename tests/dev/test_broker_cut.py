"""A broker that goes away while an answer streams costs nothing: no response, no text, no money."""

from __future__ import annotations

import asyncio
import signal
import socket
import subprocess
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import uvicorn

from seawall.engine.broker import find_server
from seawall.mesh import Mesh
from seawall.models.fake_plan import FakePlan, say
from seawall.models.fake_providers import app

pytestmark = pytest.mark.anyio

TEXT = " ".join(f"word{number}" for number in range(60)) + "."
SPEC = """
seawall: 1
name: cut
main: writer
models: {{m: {{model: 'anthropic:fake', base_url: 'http://127.0.0.1:{port}', retries: 2}}}}
agents: {{writer: {{model: m, instructions: Write.}}}}
"""


class Broker:
    """A Valkey that keeps what it was told, as the mesh of containers runs it."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "socket"
        self._command = [
            str(find_server()), "--port", "0", "--unixsocket", str(self.path), "--save", "",
            "--dir", str(folder), "--appendonly", "yes", "--appendfsync", "always",
        ]  # fmt: skip
        self.start()

    def start(self) -> None:
        self.process = subprocess.Popen(self._command, stdout=subprocess.DEVNULL)
        end = time.monotonic() + 10
        while time.monotonic() < end:
            with socket.socket(socket.AF_UNIX) as probe:
                if self.process.poll() is None and probe.connect_ex(str(self.path)) == 0:
                    probe.sendall(b"PING\r\n")
                    if probe.recv(64).startswith(b"+PONG"):
                        return
            time.sleep(0.01)
        raise TimeoutError("the broker did not start")

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def killed_and_started_again(self) -> None:
        self.kill()
        time.sleep(0.3)
        self.start()

    def held_up(self) -> None:
        self.process.send_signal(signal.SIGSTOP)
        time.sleep(2)
        self.process.send_signal(signal.SIGCONT)


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    broker = Broker(tmp_path)
    yield broker
    broker.kill()


@asynccontextmanager
async def provider(plan: FakePlan) -> AsyncIterator[int]:
    """A fake provider in this process; its port."""
    server = uvicorn.Server(uvicorn.Config(app(plan), port=0, lifespan="off", log_level="error"))
    running = asyncio.create_task(server.serve())
    while not server.started:  # noqa: ASYNC110 - uvicorn tells it by a flag only
        await asyncio.sleep(0.01)
    yield server.servers[0].sockets[0].getsockname()[1]
    server.should_exit = True
    await running


@pytest.mark.parametrize("cut", [Broker.killed_and_started_again, Broker.held_up])
async def test_an_answer_that_streams_meanwhile_is_whole_and_paid_once(
    cut: Callable[[Broker], None], broker: Broker, tmp_path: Path
) -> None:
    plan = FakePlan(answer=lambda _name, _conversation: say(TEXT), pause_seconds=0.05)
    async with provider(plan) as port:
        (tmp_path / "seawall.yaml").write_text(SPEC.format(port=port))
        mesh = Mesh.load(tmp_path / "seawall.yaml")
        async with mesh.dev(broker=f"unix://{broker.path}") as session:
            unharmed = await session.run("Write.")
            pieces, kinds, run = list[str](), list[str](), ""
            async for event in session.stream("Write."):
                run = event.run
                kinds.append(event.kind)
                if event.kind != "text":
                    continue
                assert not event.data.get("restart")
                pieces.append(event.data["text"])
                if len(pieces) == 1:
                    await asyncio.to_thread(cut, broker)
            view = await session.door.run(run)
    assert len(plan.seen) == 2, "the provider was asked once for each run"
    assert (view.output, unharmed.output) == (TEXT, TEXT)
    assert view.usage == unharmed.usage
    assert view.usage.turns == 1
    at = 0
    for piece in pieces:  # what was shown is the answer in its order, no word of it twice
        at = TEXT.index(piece, at) + len(piece)
    assert len(pieces) > 1, "text is shown again when the broker is back"
    assert (kinds.count("step.started"), kinds.count("step.done")) == (1, 1)
