"""Measures a real agent worker: from its start to its first question for work, and to its answer.

The keeper, one tool behind its bridge, the gateway and a fake provider live in this process; the
worker (`_agent_worker.py`) is a process of its own, and reaches all of them over sockets.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import uvicorn

from seawall.bridges.backends import open_backend
from seawall.bridges.bridge import Bridge
from seawall.engine.broker import open_broker
from seawall.engine.dev import in_process
from seawall.engine.dev_gateway import DevGateway
from seawall.engine.door_client import DoorClient
from seawall.keeper.app import agents_app
from seawall.keeper.door import door_app
from seawall.keeper.store import Store
from seawall.models.fake_plan import FakePlan, from_script
from seawall.models.fake_providers import app as provider_app
from seawall.models.scripted import load
from seawall.wire.messages import StartRun
from seawall.wire.profiles import BridgeProfile, FunctionsTool, KeeperPolicy

ADD = "from seawall import tool\n@tool\ndef add(a: int, b: int) -> int:\n    return a + b\n"
CALL = "{call: [{tool: add, args: {a: 1, b: 2}}]}"
SCRIPT = f"agents: {{chief: {{turns: [{CALL}, {{say: It is 3.}}]}}}}\n"
POLICY = KeeperPolicy(mesh="bench", main="chief", delegates={"chief": ()})
SETTLE_SECONDS = 0.5
LIFE_SECONDS_MAX = 180
WORKER = Path(__file__).parent / "_agent_worker.py"


@dataclass
class Cost:
    """What one worker took: seconds since its process was started, resident MiB."""

    ready: float
    ready_cpu: float
    """Processor seconds until then (nan without /proc): what a busy machine cannot distort."""
    answered: float
    """From the first run's start to its answer, in seconds: client libraries are loaded in it."""
    again: float
    """The same for the second run."""
    idle: float
    idle_after: float
    """Resident after the first task: with the provider's and the MCP client loaded."""


@asynccontextmanager
async def served(app: Any, **where: Any) -> AsyncIterator[uvicorn.Server]:
    """The app on a socket until the block ends."""
    config = uvicorn.Config(app, lifespan="off", log_level="error", access_log=False, **where)
    server = uvicorn.Server(config)
    running = asyncio.create_task(server.serve())
    while not server.started:  # noqa: ASYNC110 - uvicorn tells it by a flag only
        await asyncio.sleep(0.005)
    try:
        yield server
    finally:
        server.should_exit = server.force_exit = True
        await running


def resident(pid: int) -> float:
    """MiB, by `ps`."""
    done = subprocess.run(
        ["ps", "-o", "rss=", "-p", str(pid)], check=True, capture_output=True, text=True
    )
    return int(done.stdout) / 1024


def processor_seconds(pid: int) -> float:
    """User and system time so far, from proc(5)."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return float("nan")
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def answered(door: DoorClient) -> float:
    """Seconds from the start of a run to its answer."""
    began = time.perf_counter()
    view = await door.start(StartRun(input="What is 1 + 2?"))
    while view.state in ("queued", "running"):
        await asyncio.sleep(0.005)
        view = await door.run(view.run)
    if view.output != "It is 3.":
        raise RuntimeError(f"the worker answered {view.output!r}: {view.failure}")
    return time.perf_counter() - began


async def measure() -> Cost:
    """Start one worker, let it answer twice, stop it."""
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
        (folder / "sums.py").write_text(ADD)
        (folder / "script.yaml").write_text(SCRIPT)
        broker = await stack.enter_async_context(open_broker(None, folder))
        store = await stack.enter_async_context(await Store.connect(broker, POLICY))
        profile = BridgeProfile(
            tool="sums", source=FunctionsTool(path="sums.py"), grants={"chief": ("*",)}
        )
        bridge = Bridge(profile, open_backend(profile, folder=folder))
        await stack.enter_async_context(bridge)
        gateway = DevGateway("chief", agents_app(store), {"sums": bridge.app})
        asked = asyncio.Event()

        async def seen(scope: Any, receive: Any, send: Any) -> None:
            if scope["path"].endswith("/v1/take"):
                asked.set()
            await gateway(scope, receive, send)

        await stack.enter_async_context(served(seen, uds=str(folder / "gateway")))
        plan = FakePlan()
        plan.answer = from_script(load(folder / "script.yaml"))
        fake = await stack.enter_async_context(served(provider_app(plan), host="127.0.0.1", port=0))
        port = fake.servers[0].sockets[0].getsockname()[1]
        door = DoorClient(in_process(door_app(store)))
        began = time.perf_counter()
        provider = f"http://127.0.0.1:{port}"
        command = [sys.executable, str(WORKER), str(folder / "gateway"), provider]
        process = subprocess.Popen(command)  # noqa: ASYNC220 - starting it is what is measured
        try:
            async with asyncio.timeout(LIFE_SECONDS_MAX):
                return await life(process, began, asked, door)
        finally:
            process.kill()
            process.wait()


async def life(
    process: subprocess.Popen[bytes], began: float, asked: asyncio.Event, door: DoorClient
) -> Cost:
    """From the first breath to the second answer."""
    await asked.wait()
    ready = time.perf_counter() - began
    ready_cpu = processor_seconds(process.pid)
    await asyncio.sleep(SETTLE_SECONDS)
    idle = resident(process.pid)
    first = await answered(door)
    await asyncio.sleep(SETTLE_SECONDS)
    idle_after = resident(process.pid)
    return Cost(ready, ready_cpu, first, await answered(door), idle, idle_after)


if __name__ == "__main__":
    print(asyncio.run(measure()))
