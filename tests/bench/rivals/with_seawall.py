"""Seawall's keeper, served over HTTP on a unix socket; workers and askers are its clients.

A replica takes one task at a time, as in a mesh; `BENCH_REPLICAS` runs several in the process. The
tasks bypass the LLM loop: this measures the queue. The clients set the identity header, which in
a mesh is the gateway's to set; a gateway's own time is not in these figures.
"""

from __future__ import annotations

import asyncio
import os
import sys
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import uvicorn
from measures import LEASE_SECONDS, TASKS, Asker, Asking, main, trips

from seawall.engine.door_client import DoorClient
from seawall.keeper.app import agents_app
from seawall.keeper.door import door_app
from seawall.keeper.store import Store
from seawall.runtime.caller import Caller
from seawall.runtime.keeper_client import KeeperClient
from seawall.runtime.renewer import Renewer
from seawall.wire.messages import Delegation, Finish, Lease, StartRun, Take
from seawall.wire.profiles import Budget, KeeperLimits, KeeperPolicy

REPLICAS = int(os.environ.get("BENCH_REPLICAS", "1"))
POLICY = KeeperPolicy(
    mesh="bench",
    main="chief",
    delegates={"chief": ("clerk",), "clerk": ()},
    run=Budget(turns=10**6, fan_out=10**6),
    limits=KeeperLimits(queue_max=10**6, lease_seconds=LEASE_SECONDS),
)


class Chief:
    """Asks by delegating."""

    def __init__(self, keeper: KeeperClient, lease: Lease) -> None:
        self._keeper, self._token = keeper, lease.token

    async def put(self, task: str) -> Any:
        ask = Delegation(key=uuid.uuid4().hex, agent="clerk", input=task)
        return (await self._keeper.delegate(self._token, ask)).task

    async def answer(self, handle: Any) -> Any:
        while (found := await self._keeper.result(self._token, handle, 20)).output is None:
            pass
        return found.output


@asynccontextmanager
async def reach(socket: str, agent: str) -> AsyncIterator[Caller]:
    who = {"x-seawall-agent": agent} if agent else {}
    async with httpx.AsyncHTTPTransport(uds=socket) as transport:
        yield Caller(transport, "http://k", who)


@asynccontextmanager
async def client(socket: str, agent: str) -> AsyncIterator[KeeperClient]:
    async with reach(socket, agent) as http:
        yield KeeperClient(http)


async def serve(keeper: KeeperClient, renewer: Renewer | None) -> None:
    """One replica."""
    while True:
        lease = await keeper.take(Take(replica="one"))
        if lease is None:
            continue
        if renewer is None:
            output = str(await TASKS[lease.input]())
        else:
            with renewer.hold(lease, lambda: None):
                output = str(await TASKS[lease.input]())
        await keeper.finish(lease.token, Finish(output=output))


async def serve_all(socket: str) -> None:
    async with client(socket, "clerk") as keeper:
        with Renewer(lambda: client(socket, "clerk")) as renewer:
            await asyncio.gather(*(serve(keeper, renewer) for _ in range(REPLICAS)))


def work(socket: str) -> None:
    asyncio.run(serve_all(socket))


@asynccontextmanager
async def ask(socket: str) -> Asking:
    async with reach(socket, "") as door:
        await DoorClient(door).start(StartRun(input="x"))
    async with client(socket, "chief") as keeper:
        lease = await keeper.take(Take(replica="one"))
        assert lease
        yield Chief(keeper, lease)


async def keep(broker: str, socket: str) -> None:
    """Both sides behind one socket; people's side is the one without an agent's name."""
    async with await Store.connect(broker, POLICY) as store:
        agents, door = agents_app(store), door_app(store)

        async def app(scope: Any, receive: Any, send: Any) -> None:
            named = any(key == b"x-seawall-agent" for key, _ in scope["headers"])
            await (agents if named else door)(scope, receive, send)

        config = uvicorn.Config(
            app, uds=socket, lifespan="off", log_level="warning", access_log=False
        )
        await uvicorn.Server(config).serve()


async def in_process(broker: str) -> dict[str, float]:
    """Round trips with everything in this process, as in `seawall dev`."""
    async with await Store.connect(broker, POLICY) as store:

        def reached(agent: str) -> Caller:
            transport = httpx.ASGITransport(agents_app(store) if agent else door_app(store))
            return Caller(transport, "http://k", {"x-seawall-agent": agent})

        await DoorClient(reached("")).start(StartRun(input="x"))
        one = KeeperClient(reached("chief"))
        lease = await one.take(Take(replica="one"))
        assert lease
        serving = asyncio.create_task(serve(KeeperClient(reached("clerk")), None))
        chief: Asker = Chief(one, lease)
        try:
            return await trips(chief)
        finally:
            serving.cancel()
            await asyncio.gather(serving, return_exceptions=True)


if __name__ == "__main__":
    if sys.argv[1] == "keeper":
        asyncio.run(keep(sys.argv[2], str(Path(sys.argv[3]))))
    elif sys.argv[1] == "in-process":
        import json

        print(json.dumps(asyncio.run(in_process(sys.argv[2]))))
    else:
        main(work, ask)
