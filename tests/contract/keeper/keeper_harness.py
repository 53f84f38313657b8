"""A keeper with its clients, in process or over HTTP on loopback: the same to every test."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from types import TracebackType
from typing import Any, Self

import httpx
import uvicorn
from starlette.applications import Starlette

from seawall.engine.door_client import DoorClient
from seawall.keeper.app import agents_app
from seawall.keeper.door import door_app
from seawall.keeper.store import Store
from seawall.runtime.caller import Caller
from seawall.runtime.keeper_client import KeeperClient
from seawall.wire.messages import Lease, RunView, StartRun, Take
from seawall.wire.profiles import AgentMeter, Budget, DayBudget, KeeperLimits, KeeperPolicy

URL = "http://keeper"
NUMBERS = itertools.count()
DELEGATES = {"chief": ("scout", "clerk"), "scout": ("clerk", "chief"), "clerk": ("scout",)}


class Keeper:
    """One keeper process, as agents and people see it."""

    def __init__(self, url: str, transport: str, policy: KeeperPolicy) -> None:
        self.url, self.transport, self.policy = url, transport, policy
        self.store = Store(url, policy)
        self._stack = AsyncExitStack()
        self._transports: list[httpx.AsyncBaseTransport] = []

    async def __aenter__(self) -> Self:
        await self._stack.enter_async_context(self.store)
        for app in (agents_app(self.store), door_app(self.store)):
            self._transports.append(await self._reach(app))
        self.door_http = await self._client(1, {})
        self.door = DoorClient(Caller(self._transports[1], URL))
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.store.closing = True
        self.store.bells.ring_all()
        await self._stack.aclose()

    @property
    def agents_transport(self) -> httpx.AsyncBaseTransport:
        return self._transports[0]

    async def raw(self, agent: str | None) -> httpx.AsyncClient:
        """A client whose gateway says that it is `agent`."""
        return await self._client(0, {"x-seawall-agent": agent} if agent else {})

    async def agent(self, name: str) -> KeeperClient:
        return KeeperClient(Caller(self._transports[0], URL, {"x-seawall-agent": name}))

    async def lease(self, agent: str, replica: str = "one", wait_seconds: float = 5.0) -> Lease:
        """Work for the agent, which the test knows to be there or to come."""
        lease = await (await self.agent(agent)).take(
            Take(replica=replica, wait_seconds=wait_seconds)
        )
        assert lease is not None, f"no work for {agent}"
        return lease

    async def started(self, text: str = "why?", **more: Any) -> tuple[RunView, Lease]:
        """A run, and the lease of its main task."""
        view = await self.door.start(StartRun(input=text, **more))
        return view, await self.lease(view.agent)

    async def kinds(self, run: str) -> list[str]:
        return [event.kind for event in await self.door.events(run, wait_seconds=0)]

    async def _client(self, side: int, headers: dict[str, str]) -> httpx.AsyncClient:
        transport = self._transports[side]
        # Clients share the transport, so that closing it is the harness's business.
        return httpx.AsyncClient(transport=transport, base_url=URL, headers=headers)

    async def _reach(self, app: Starlette) -> httpx.AsyncBaseTransport:
        if self.transport == "in process":
            return httpx.ASGITransport(app)
        transport = Loopback(await self._stack.enter_async_context(served(app)))
        self._stack.push_async_callback(transport.aclose)
        return transport


class Loopback(httpx.AsyncHTTPTransport):
    """Sends every request to one port of this machine.

    Not a unix socket: anyio 4.16 sets the result of a cancelled future when a client leaves one
    at the wrong moment (`UNIXSocketStream._wait_until_readable`), and tests here do leave.
    """

    def __init__(self, port: int) -> None:
        super().__init__(limits=httpx.Limits(max_connections=None))
        self._port = port

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        request.url = request.url.copy_with(host="127.0.0.1", port=self._port)
        return await super().handle_async_request(request)


@asynccontextmanager
async def served(app: Starlette) -> AsyncIterator[int]:
    """The app behind uvicorn; yields its port."""
    config = uvicorn.Config(
        app, host="127.0.0.1", port=0, log_level="error", lifespan="off", ws="none",
        timeout_graceful_shutdown=2,
    )  # fmt: skip
    server = uvicorn.Server(config)
    task = asyncio.create_task(server.serve())
    while not server.started:  # noqa: ASYNC110 - uvicorn has no event for it
        await asyncio.sleep(0.005)
    try:
        yield server.servers[0].sockets[0].getsockname()[1]
    finally:
        server.should_exit = True
        with contextlib.suppress(asyncio.CancelledError):
            await task


class Meshes:
    """Opens keepers on one broker; each mesh has a name, and so a state, of its own."""

    def __init__(self, url: str, transport: str, stack: AsyncExitStack) -> None:
        self.url, self.transport, self._stack = url, transport, stack

    async def open(
        self,
        run: Budget | None = None,
        day: DayBudget | None = None,
        delegates: dict[str, tuple[str, ...]] | None = None,
        meters: dict[str, AgentMeter] | None = None,
        **limits: Any,
    ) -> Keeper:
        limits = {"lease_seconds": 5.0, **limits}
        policy = KeeperPolicy(
            mesh=f"mesh{next(NUMBERS)}",
            main="chief",
            delegates=delegates or DELEGATES,
            run=run or Budget(),
            day=day or DayBudget(),
            meters=meters or {},
            metered=meters is not None,
            limits=KeeperLimits(**limits),
        )
        return await self.another(policy)

    async def another(self, policy: KeeperPolicy) -> Keeper:
        """One more keeper of a mesh that there is already."""
        keeper = Keeper(self.url, self.transport, policy)
        return await self._stack.enter_async_context(keeper)
