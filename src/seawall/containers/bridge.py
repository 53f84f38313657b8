"""A tool's container: its bridge, and behind it the functions, the sandbox or memory.

`python3 -m seawall.containers.bridge`
"""

from __future__ import annotations

import asyncio
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from seawall.bridges.backends import open_backend
from seawall.bridges.bridge import Bridge
from seawall.errors import OperatorError
from seawall.wire import places
from seawall.wire.profiles import BridgeProfile, MemoryTool, UrlTool

from .life import alive, begin
from .serving import serve

if TYPE_CHECKING:
    from seawall.wire.tools import Backend


async def run(profile: BridgeProfile, files: Path) -> None:
    """Serve MCP until told to stop."""
    async with alive(f"tool {profile.tool}", profile.watch) as ready:
        memory = None
        if isinstance(profile.source, MemoryTool):
            memory = await asyncio.to_thread(_memory, profile.source, files)
        backend = open_backend(profile, folder=files, memory=memory, through_gateway=True)
        async with Bridge(profile, backend) as bridge:
            # A tool that cannot start must not look ready: its last words are the container's.
            # Somebody else's server that is away is not this container's fault.
            if not isinstance(profile.source, UrlTool):
                await backend.list()
            await serve({places.BRIDGE_PORT: bridge.app}, ready)


def _memory(source: MemoryTool, files: Path) -> Backend:
    """Memory on the container's volume, with the documents that are in the image indexed."""
    from seawall.memory.backend import MemoryBackend
    from seawall.memory.embed import Embedder
    from seawall.memory.ingest import ingest
    from seawall.memory.service import MemoryService

    model = partial(Embedder.load, Path(places.MODEL))
    service = MemoryService(Path(places.DATA), model, source)
    documents = files / "documents"
    if documents.is_dir():
        ingest(service, documents, lambda *_: None)
    return MemoryBackend(service)


def main() -> None:
    """Start with the profile that is in the image."""
    begin()
    profile = BridgeProfile.model_validate_json(Path(places.PROFILE).read_bytes())
    try:
        asyncio.run(run(profile, Path(places.FILES)))
    except OperatorError as error:
        raise SystemExit(str(error)) from None


if __name__ == "__main__":
    main()
