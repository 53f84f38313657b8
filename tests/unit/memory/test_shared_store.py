"""One open store for a mesh and its successor: neither's end takes it from the other."""

from __future__ import annotations

from pathlib import Path

import pytest

from seawall.errors import OperatorError
from seawall.memory.embed import Embedder
from seawall.memory.service import MemoryService
from seawall.memory.store import Store, Stores
from seawall.wire.tools import Caller

ANNE = Caller(agent="anne", run="r", task="t", step="s")


def test_a_successor_sees_what_was_kept_and_outlives_its_predecessor(
    tmp_path: Path, embedder: Embedder
) -> None:
    stores = Stores()
    old = MemoryService(tmp_path, lambda: embedder, open_store=stores.open).start()
    old.remember(ANNE, "The wall is nine metres high.")
    with MemoryService(tmp_path, lambda: embedder, open_store=stores.open) as new:
        assert new.recall(ANNE, "wall")[0].text == "The wall is nine metres high."
        old.close()
        new.remember(ANNE, "The moat is two metres deep.")
        assert len(new.recall(ANNE, "metres")) == 2
        with pytest.raises(OperatorError, match="another process uses this memory"):
            Store.open(tmp_path)
    Store.open(tmp_path).close()  # given back by the last of them


def test_a_store_that_was_given_back_is_opened_anew(tmp_path: Path) -> None:
    stores = Stores()
    first = stores.open(tmp_path)
    assert stores.open(tmp_path) is first
    first.close()
    first.close()
    second = stores.open(tmp_path)
    assert second is not first
    second.close()
