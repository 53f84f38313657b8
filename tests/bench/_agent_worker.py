"""One agent's worker in a process of its own, as a container would run it; `startup.py` starts it.

Arguments: the gateway's unix socket, the provider's URL. Until the image's entry point exists,
this is the smallest process that is a real worker.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx

from seawall.models.providers import build
from seawall.runtime.caller import Caller
from seawall.runtime.keeper_client import KeeperClient
from seawall.runtime.tool_client import ToolClient
from seawall.runtime.worker import Worker
from seawall.wire.profiles import AgentProfile, ModelProfile, ToolGrant


def main() -> None:
    """Work until killed."""
    socket, provider = sys.argv[1:]
    model = ModelProfile(ref="anthropic:chief", base_url=provider, secret="KEY")
    profile = AgentProfile(name="chief", model=model, tools=(ToolGrant(tool="sums"),))

    def http() -> httpx.AsyncClient:
        transport = httpx.AsyncHTTPTransport(uds=socket)
        return httpx.AsyncClient(transport=transport, base_url="http://gateway/keeper")

    @asynccontextmanager
    async def keeper() -> AsyncIterator[KeeperClient]:
        async with httpx.AsyncHTTPTransport(uds=socket) as transport:
            yield KeeperClient(Caller(transport, "http://gateway/keeper"))

    def tool_client(tool: str) -> ToolClient:
        return ToolClient(http(), f"http://gateway/tools/{tool}/mcp")

    worker = Worker(profile, "chief-1", keeper, tool_client, lambda p: build(p.model, "fake"))
    asyncio.run(worker.run())


if __name__ == "__main__":
    main()
