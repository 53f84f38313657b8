"""The embedded engine: a whole mesh in one process, with a real Valkey; no Docker.

Starts what the plan says in the order of `DevEngine.__aenter__` and stops it in reverse.
It enforces identity, grants, budgets and leases as a mesh of containers does; it cannot isolate
memory, network or files (docs/explanation/security.md).
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import httpx

from seawall.errors import OperatorError
from seawall.plan.model import Plan
from seawall.wire.profiles import AgentProfile, BridgeProfile, MemoryTool

from . import secrets, tool_secrets
from .broker import open_broker
from .dev_gateway import DevGateway
from .door_client import DoorClient

if TYPE_CHECKING:
    from pydantic_ai.models import Model
    from starlette.types import ASGIApp

    from seawall.memory.backend import MemoryBackend
    from seawall.memory.store import Stores
    from seawall.models.scripted import Script
    from seawall.runtime.caller import Caller
    from seawall.runtime.keeper_client import KeeperClient
    from seawall.runtime.tool_client import ToolClient

GATEWAY_URL = "http://gateway"
CANCEL_AGAIN_SECONDS = 1.0


@dataclass(frozen=True)
class DevOptions:
    """What a person chose on the command line."""

    folder: Path
    """Where the spec lies; its paths are relative to it."""
    offline: bool = False
    """Answer from the spec's `script:` instead of real models."""
    script: Path | None = None
    broker: str | None = None
    """`redis://…` or `rediss://…` of a server to use; None for an embedded one."""
    documents: Path | None = None
    """Folder to index instead of the one the spec names."""
    tell: Callable[[str], None] = lambda _text: None
    """Told what is happening while the engine starts."""
    warn: Callable[[str], None] = lambda _text: None
    """Told what of the spec this engine does not enforce."""
    stores: Stores | None = None
    """Of memory, shared with the mesh that this one replaces."""


class DevEngine:
    """Runs the mesh inside its `async with` block; `door` is people's side."""

    door: DoorClient

    def __init__(self, plan: Plan, options: DevOptions) -> None:
        self._plan, self._options = plan, options
        self._stack = AsyncExitStack()
        self._clients = AsyncExitStack()
        self._tools: dict[str, ASGIApp] = {}
        self._script: Script | None = None
        self._keys: dict[str, str] = {}
        self._given: dict[str, tool_secrets.Given] = {}

    async def __aenter__(self) -> Self:
        """Start everything; on a failure everything started is stopped again.

        Raises:
            OperatorError: a key is missing, the broker does not answer, a tool does not start.
        """
        refuse_unsupported(self._plan)
        if warning := tool_secrets.not_enforced(self._plan):
            self._options.warn(warning)
        try:
            self._models()
            self._secrets()
            self._broker = await self._open_broker()
            import_slow(self._plan)
            await self._open_door()
            await self._bridges()
            # Beneath the workers on the stack: a client outlives whoever may still use it.
            await self._stack.enter_async_context(self._clients)
            self._workers()
        except BaseException:
            await self._stack.aclose()
            raise
        return self

    async def __aexit__(self, *_exc: object) -> None:
        await self._stack.aclose()

    def _models(self) -> None:
        """Load the script, or find every key, before anything else starts."""
        if not self._options.offline:
            self._keys = secrets.model_keys(self._plan, self._options.folder)
            return
        from seawall.models import scripted

        if self._options.script is None:
            raise OperatorError(
                "seawall.yaml: script",
                "--offline needs a script, and the spec names none",
                "Add `script: FILE`, or drop --offline to use real models",
            )
        self._script = scripted.load(self._options.script)

    def _secrets(self) -> None:
        """Find every tool's secrets, before anything starts."""
        for profile in self._plan.bridges():
            given = tool_secrets.given_to(self._plan, profile, self._options.folder)
            self._given[profile.tool] = self._stack.enter_context(given)

    async def _open_broker(self) -> str:
        self._options.tell("broker")
        # Not in a folder of ours: after kill -9 the broker's watcher removes what it made, no more.
        temporary = Path(tempfile.gettempdir())
        return await self._stack.enter_async_context(open_broker(self._options.broker, temporary))

    async def _open_door(self) -> None:
        from seawall.keeper.app import agents_app
        from seawall.keeper.door import door_app
        from seawall.keeper.store import Store

        self._options.tell("keeper")
        opened = await Store.connect(self._broker, self._plan.policy)
        store = await self._stack.enter_async_context(opened)
        self.door = DoorClient(in_process(door_app(store)))
        self._keeper_app = agents_app(store)

    async def _bridges(self) -> None:
        opening = (self._bridge(profile) for profile in self._plan.bridges())
        # All of them are waited for: one that still opens would be left on a stack that closes.
        for outcome in await asyncio.gather(*opening, return_exceptions=True):
            if isinstance(outcome, BaseException):
                raise outcome

    async def _bridge(self, profile: BridgeProfile) -> None:
        from seawall.bridges.backends import open_backend
        from seawall.bridges.bridge import Bridge

        self._options.tell(f"tool {profile.tool}")
        memory = None
        if isinstance(profile.source, MemoryTool):
            memory = await self._memory(profile.source)
        given = self._given[profile.tool]
        backend = open_backend(
            profile,
            folder=self._options.folder,
            memory=memory,
            headers=given.headers,
            secrets=given.folder,
        )
        bridge = Bridge(profile, backend)
        ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        hosting = asyncio.create_task(host(bridge, ready), name=f"bridge {profile.tool}")
        self._stack.push_async_callback(settled, hosting)
        await ready
        self._tools[profile.tool] = bridge.app

    async def _memory(self, source: MemoryTool) -> MemoryBackend:
        from seawall.engine.dev_memory import open_memory

        options = self._options
        documents, tell, stores = options.documents, options.tell, options.stores
        return await open_memory(options.folder, source, documents, tell, stores)

    def _workers(self) -> None:
        from seawall.runtime.worker import Worker

        for workload in self._plan.agents():
            profile = workload.profile
            assert isinstance(profile, AgentProfile)  # noqa: S101 - what agents() promises
            for number in range(1, workload.replicas + 1):
                worker = Worker(
                    profile,
                    f"{profile.name}-{number}",
                    partial(self._keeper, profile.name),
                    partial(self._tool_client, profile),
                    self._model,
                )
                running = asyncio.create_task(worker.run(), name=f"worker {profile.name}-{number}")
                self._stack.push_async_callback(settled, running)

    @asynccontextmanager
    async def _keeper(self, agent: str) -> AsyncIterator[KeeperClient]:
        """A client of the keeper through the agent's gateway.

        Its connections are its own: the renewer opens one in another thread's loop.
        """
        from seawall.keeper.app import agents_app
        from seawall.keeper.store import Store
        from seawall.runtime.keeper_client import KeeperClient

        async with await Store.connect(self._broker, self._plan.policy) as store:
            gateway = DevGateway(agent, agents_app(store), {})
            yield KeeperClient(in_process(gateway, f"{GATEWAY_URL}/keeper"))

    def _tool_client(self, agent: AgentProfile, tool: str) -> ToolClient:
        """A client of one tool through the agent's gateway, which knows only granted tools."""
        from seawall.runtime.tool_client import ToolClient

        granted = {grant.tool: self._tools[grant.tool] for grant in agent.tools}
        gateway = DevGateway(agent.name, self._keeper_app, granted)
        transport = httpx.ASGITransport(gateway, raise_app_exceptions=False)
        http = httpx.AsyncClient(transport=transport, timeout=None)  # noqa: S113 - calls have limits
        self._clients.push_async_callback(http.aclose)
        return ToolClient(http, f"{GATEWAY_URL}/tools/{tool}/mcp")

    def _model(self, profile: AgentProfile) -> Model:
        if self._script is not None:
            return self._script.model(profile.name)
        from seawall.models.providers import build

        cas = [self._options.folder / ca.path for ca in self._plan.trusted_cas]
        key = self._keys.get(profile.model.secret or "")
        return build(profile.model, key, keys=self._keys, cas=cas)


def refuse_unsupported(plan: Plan) -> None:
    """Refuse what needs a container; never leave it out silently.

    Raises:
        OperatorError: naming the first workload that this engine cannot run.
    """
    for workload in plan.workloads:
        if workload.image.kind in ("entry", "build", "image", "npm", "pypi"):
            raise OperatorError(
                workload.identity,
                f"the embedded engine cannot run `{workload.image.kind}: {workload.image.what}`",
                "Use `functions:`, `url:`, `memory:` or `sandbox:`, or a declarative agent",
            )


def import_slow(plan: Plan) -> None:
    """Import the large libraries, in one thread and before any other starts.

    Imports of two threads that meet in one package can hand out half-made modules.
    """
    import seawall.runtime.loop  # noqa: F401

    if any(isinstance(bridge.source, MemoryTool) for bridge in plan.bridges()):
        from seawall.memory.service import preload

        preload()


def in_process(app: ASGIApp, url: str = GATEWAY_URL) -> Caller:
    """The way to `app`, in this process: nothing to open, nothing to close."""
    from seawall.runtime.caller import Caller

    return Caller(httpx.ASGITransport(app, raise_app_exceptions=False), url)


async def host(part: AbstractAsyncContextManager[Any], ready: asyncio.Future[None]) -> None:
    """Keep a part open until cancelled: what it opens in a task it must close in the same one."""
    try:
        async with part:
            ready.set_result(None)
            await asyncio.Event().wait()
    except Exception as error:
        if ready.done():
            raise
        ready.set_exception(error)


async def settled(task: asyncio.Task[Any]) -> None:
    """Cancel a task and wait until it has ended.

    Again where needed: redis-py's connecting, cancelled at the wrong moment, goes on.
    """
    while not task.done():
        task.cancel()
        await asyncio.wait([task], timeout=CANCEL_AGAIN_SECONDS)
