"""Nobody recalls, overwrites or forgets what is not theirs; what is kept survives."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from seawall.errors import OperatorError, Refused
from seawall.memory import service as service_module
from seawall.memory import store
from seawall.memory.embed import Embedder
from seawall.memory.passage import TEXT_MAX, Scope
from seawall.memory.service import MemoryService
from seawall.wire.profiles import MemoryTool
from seawall.wire.tools import Caller

ALICE = Caller(agent="alice", run="r1")
BOB = Caller(agent="bob", run="r1")
LATER = Caller(agent="bob", run="r2")
FACT = "The sea wall was raised to nine metres."


def texts(service: MemoryService, caller: Caller, **options: Any) -> list[str]:
    return [passage.text for passage in service.recall(caller, "height of the wall", **options)]


@pytest.mark.parametrize(
    ("scope", "readers"),
    [("mine", {"alice"}), ("run", {"alice", "bob"}), ("mesh", {"alice", "bob", "later"})],
)
def test_a_scope_says_who_recalls(service: MemoryService, scope: Scope, readers: set[str]) -> None:
    service.remember(ALICE, FACT, scope)
    callers = {"alice": ALICE, "bob": BOB, "later": LATER}
    assert {name for name, caller in callers.items() if FACT in texts(service, caller)} == readers


def test_the_best_passage_of_all_scopes_comes_first(service: MemoryService) -> None:
    service.remember(ALICE, "Rye bread needs time.", "mine")
    service.remember(BOB, FACT, "mesh")
    service.remember(BOB, "The harbour dries out twice a day.", "run")
    found = service.recall(ALICE, "How high is the sea wall?", limit=2)
    assert found[0].text == FACT
    assert found[0].place == "memory/bob"
    assert found[0].score > found[1].score
    assert len(found) == 2


def test_only_own_entries_are_forgotten_and_others_are_not_told_of(service: MemoryService) -> None:
    entry = service.remember(ALICE, FACT, "mesh")
    with pytest.raises(Refused) as refused:
        service.forget(BOB, entry)
    with pytest.raises(Refused) as unknown:
        service.forget(BOB, "m-0123456789abcdef")
    assert str(refused.value).replace(entry, "") == str(unknown.value).replace(
        "m-0123456789abcdef", ""
    )
    assert FACT in texts(service, BOB)
    service.forget(ALICE, entry)
    assert texts(service, BOB) == []


def test_the_same_text_twice_is_one_entry_and_another_agents_is_another(
    service: MemoryService,
) -> None:
    first = service.remember(ALICE, FACT, "mesh")
    assert service.remember(ALICE, FACT, "mesh") == first
    assert service.remember(BOB, FACT, "mesh") != first
    assert len(texts(service, ALICE)) == 2


def test_own_entries_are_listed_newest_first(service: MemoryService) -> None:
    for text in ("one", "two", "three"):
        service.remember(ALICE, text, "mesh")
    service.remember(BOB, "not hers", "mesh")
    assert [p.text for p in service.entries(ALICE, "mesh", 2)] == ["three", "two"]
    assert service.entries(ALICE) == []


def test_readers_and_writers_guard_what_is_shared(tmp_path: Path, embedder: Embedder) -> None:
    tool = MemoryTool(readers=("alice",), writers=("a*",))
    with MemoryService(tmp_path, lambda: embedder, tool) as service:
        service.remember(ALICE, FACT, "mesh")
        service.remember(BOB, "Bob's own.", "mine")
        assert texts(service, BOB) == ["Bob's own."]
        shared: tuple[Scope, ...] = ("run", "mesh")
        for scope in shared:
            with pytest.raises(Refused, match="may not write"):
                service.remember(BOB, FACT, scope)
            with pytest.raises(Refused, match="may not read"):
                service.recall(BOB, "wall", scope=scope)


@pytest.mark.parametrize(
    ("code", "text", "scope"),
    [
        ("invalid", " \n", "mine"),
        ("too_long", "x" * (TEXT_MAX + 1), "mine"),
        ("not_granted", FACT, "documents"),
        ("scope", FACT, "theirs"),
        ("scope", FACT, "run"),
    ],
)
def test_what_cannot_be_kept_is_refused(
    service: MemoryService, code: str, text: str, scope: Any
) -> None:
    with pytest.raises(Refused) as refused:
        service.remember(Caller(agent="alice"), text, scope)
    assert refused.value.code == code


@pytest.mark.parametrize("limit", [0, -1, 21])
def test_a_limit_out_of_range_is_refused(service: MemoryService, limit: int) -> None:
    with pytest.raises(Refused, match="limit must be 1 to 20"):
        service.recall(ALICE, "wall", limit)


def test_entries_of_one_agent_are_limited(
    service: MemoryService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service_module, "ENTRIES_MAX", 2)
    service.remember(ALICE, "one", "mesh")
    service.remember(ALICE, "two", "mesh")
    with pytest.raises(Refused, match="at most 2 fit"):
        service.remember(ALICE, "three", "mesh")
    service.remember(ALICE, "two", "mesh")
    service.remember(BOB, "three", "mesh")


def test_memory_of_the_oldest_runs_goes_first(
    service: MemoryService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service_module, "RUNS_MAX", 2)
    runs = [Caller(agent="alice", run=f"run-{n}") for n in range(3)]
    for caller in runs:
        service.remember(caller, FACT, "run")
    assert [len(texts(service, caller, scope="run")) for caller in runs] == [0, 1, 1]


def test_the_end_of_a_long_entry_is_found_too(service: MemoryService) -> None:
    service.remember(ALICE, "Bread and starters. " * 100 + FACT * 20)
    service.remember(ALICE, "Bread and starters. " * 110)
    assert service.recall(ALICE, "How high is the sea wall?")[0].text.endswith(FACT)


def test_a_source_filter_is_a_prefix(service: MemoryService) -> None:
    service.remember(ALICE, FACT, "mesh")
    service.remember(BOB, FACT, "mesh")
    assert [p.source for p in service.recall(ALICE, "wall", source="memory/b")] == ["memory/bob"]
    assert service.recall(ALICE, "wall", source="docs/") == []


def test_what_is_kept_outlives_the_process(tmp_path: Path, embedder: Embedder) -> None:
    service = MemoryService(tmp_path, lambda: embedder)
    service.remember(ALICE, FACT)
    service.close()
    service.close()
    with MemoryService(tmp_path, lambda: embedder) as again:
        assert texts(again, ALICE) == [FACT]


def test_a_temporary_memory_leaves_nothing(
    tmp_path: Path, embedder: Embedder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with MemoryService(None, lambda: embedder) as service:
        service.remember(ALICE, FACT)
        assert list(tmp_path.iterdir())
    assert not list(tmp_path.iterdir())


def test_a_folder_has_one_owner(
    service: MemoryService, tmp_path: Path, embedder: Embedder, monkeypatch: pytest.MonkeyPatch
) -> None:
    service.recall(ALICE, "wait until it is open")
    monkeypatch.setattr(store, "LOCK_WAIT_SECONDS", 0.2)
    with (
        MemoryService(tmp_path / "memory", lambda: embedder) as second,
        pytest.raises(OperatorError, match="another process uses this memory"),
    ):
        second.recall(ALICE, "wall")


def test_a_damaged_folder_is_told_in_words(tmp_path: Path, embedder: Embedder) -> None:
    (tmp_path / "chroma").mkdir()
    (tmp_path / "chroma" / "chroma.sqlite3").write_bytes(b"this is no database" * 500)
    with (
        MemoryService(tmp_path, lambda: embedder) as service,
        pytest.raises(OperatorError, match="Move the folder away"),
    ):
        service.recall(ALICE, "wall")


def test_the_env_file_of_the_current_folder_is_not_read(
    tmp_path: Path, embedder: Embedder, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".env").write_text("CHROMA_SERVER_HTTP_PORT=not-a-number\n")
    monkeypatch.chdir(tmp_path)
    with MemoryService(tmp_path / "memory", lambda: embedder) as service:
        service.remember(ALICE, FACT)
