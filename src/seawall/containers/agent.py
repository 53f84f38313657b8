"""An agent's container: one worker, whose only neighbour is the agent's gateway.

`python3 -m seawall.containers.agent`
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import httpx

from seawall.runtime.caller import Caller
from seawall.runtime.keeper_client import KeeperClient
from seawall.runtime.progress import Progress
from seawall.runtime.steps import said
from seawall.runtime.tool_client import ToolClient
from seawall.runtime.watchdog import Watchdog
from seawall.runtime.worker import Worker
from seawall.wire import places
from seawall.wire.profiles import AgentProfile, ModelProfile

from .life import alive, begin, on_signals

if TYPE_CHECKING:
    from pydantic_ai.models import Model


async def run(profile: AgentProfile, gateway: str) -> None:
    """Work until told to stop."""
    progress, replica = Progress(), socket.gethostname()
    who = f"agent {profile.name}, replica {replica}"
    watchdog = Watchdog(progress, profile.watch.grace_seconds)
    async with (
        alive(who, profile.watch, watchdog) as ready,
        httpx.AsyncClient(timeout=None, trust_env=False) as http,  # noqa: S113 - calls have limits
    ):

        @asynccontextmanager
        async def keeper() -> AsyncIterator[KeeperClient]:
            async with httpx.AsyncHTTPTransport(trust_env=False) as transport:
                yield KeeperClient(Caller(transport, gateway + places.KEEPER_PATH))

        def tool_client(tool: str) -> ToolClient:
            return ToolClient(http, f"{gateway}{places.TOOLS_PATH}/{tool}/mcp")

        def model(agent: AgentProfile) -> Model:
            return through(agent.model, gateway)

        worker = Worker(profile, replica, keeper, tool_client, model, ready.set, progress)
        working = asyncio.create_task(worker.run(), name="worker")
        on_signals(working.cancel)
        # A worker that failed must not look like one that was stopped: what it raised is told.
        with contextlib.suppress(asyncio.CancelledError):
            await working


def through(profile: ModelProfile, gateway: str) -> Model:
    """The model and its fallbacks by way of the gateway, which adds the keys.

    What the agent sends as a key is its lease, by which the gateway knows the task.
    """
    from seawall.models.providers import build

    def routed(one: ModelProfile, number: int) -> ModelProfile:
        url = f"{gateway}{places.MODELS_PATH}/{number}"
        return one.model_copy(update={"gateway_url": url, "secret": None})

    fallbacks = tuple(routed(f, n) for n, f in enumerate(profile.fallbacks, 1))
    first = routed(profile, 0).model_copy(update={"fallbacks": fallbacks})
    return build(first, None, identity=said)


def main() -> None:
    """Start with the profile that is in the image."""
    begin()
    profile = AgentProfile.model_validate_json(Path(places.PROFILE).read_bytes())
    asyncio.run(run(profile, places.GATEWAY))


if __name__ == "__main__":
    main()
