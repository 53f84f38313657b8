"""One real model for all tests of memory, and a service in a folder of its own for each."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from seawall.memory.embed import Embedder
from seawall.memory.service import MemoryService


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="session")
def embedder(cache: Path) -> Embedder:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(cache))
        return Embedder.load()


@pytest.fixture
def service(tmp_path: Path, embedder: Embedder) -> Iterator[MemoryService]:
    with MemoryService(tmp_path / "memory", lambda: embedder) as service:
        yield service
