"""The index holds exactly what the folder holds, and says what it left out."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from seawall.errors import OperatorError
from seawall.memory import ingest as ingest_module
from seawall.memory.ingest import ingest
from seawall.memory.service import MemoryService
from seawall.wire import documents
from seawall.wire.tools import Caller

ASKER = Caller(agent="researcher", run="r")
TIDES = "# Tides\n\nThe harbour dries out.\n\n## The wall\n\nIt was raised to nine metres.\n"
WALL = "How high is the wall?"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "library"
    (folder / "docs").mkdir(parents=True)
    (folder / "docs" / "tides.md").write_text(TIDES)
    (folder / "bread.txt").write_text("Rye bread needs a sour starter and time.\n")
    return folder


def test_results_cite_file_and_lines(service: MemoryService, folder: Path) -> None:
    done = ingest(service, folder)
    assert (done.files, done.chunks, done.unchanged, done.removed) == (2, 3, 0, 0)
    best = service.recall(ASKER, WALL)[0]
    assert best.place == "docs/tides.md:5-7"
    assert best.heading == "Tides > The wall"
    lines = TIDES.splitlines()[best.line_first - 1 : best.line_last]
    assert best.text == "\n".join(lines)


def test_a_source_prefix_narrows_the_search(service: MemoryService, folder: Path) -> None:
    ingest(service, folder, prefix="library/")
    assert {p.source for p in service.recall(ASKER, WALL, source="library/b")} == {
        "library/bread.txt"
    }


def test_only_what_changed_is_indexed_again(service: MemoryService, folder: Path) -> None:
    ingest(service, folder)
    again = ingest(service, folder)
    assert (again.files, again.chunks, again.unchanged) == (2, 0, 2)
    (folder / "docs" / "tides.md").write_text("# Tides\n\nThe wall is twelve metres high.\n")
    changed = ingest(service, folder)
    assert (changed.chunks, changed.unchanged) == (1, 1)
    found = [p.text for p in service.recall(ASKER, WALL, source="docs/")]
    assert len(found) == 1
    assert "twelve" in found[0]


def test_removed_files_leave_the_index(service: MemoryService, folder: Path) -> None:
    ingest(service, folder)
    (folder / "bread.txt").unlink()
    assert ingest(service, folder).removed == 1
    assert {p.source for p in service.recall(ASKER, "bread")} == {"docs/tides.md"}


def test_a_document_cut_short_by_a_crash_is_indexed_again(
    service: MemoryService, folder: Path
) -> None:
    ingest(service, folder)
    best = service.recall(ASKER, WALL)[0]
    documents = service._store().find("documents-minilm1")
    assert documents is not None
    documents.delete([best.id])
    assert ingest(service, folder).chunks == 2
    assert service.recall(ASKER, WALL)[0].id == best.id


def test_what_is_left_out_is_told_with_its_reason(
    service: MemoryService, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(documents, "FILE_BYTES_MAX", 100)
    monkeypatch.setattr(ingest_module, "FILE_CHUNKS_MAX", 2)
    (tmp_path / "secret.md").write_text("outside")
    (folder / "key.md").symlink_to(tmp_path / "secret.md")
    (folder / "loop.md").symlink_to(folder / "loop.md")
    (folder / "again.md").symlink_to(folder / "bread.txt")
    (folder / "linked").symlink_to(tmp_path)
    (folder / ".hidden").mkdir()
    (folder / ".hidden" / "x.md").write_text("x")
    (folder / ".env.md").write_text("KEY=1")
    (folder / "nul.txt").write_bytes(b"a\0b")
    (folder / "latin.txt").write_bytes("é".encode("latin-1"))
    (folder / "huge.txt").write_text("x" * 101)
    (folder / "many.md").write_text("# a\nx\n# b\nx\n# c\nx\n")
    (folder / "photo.jpg").write_bytes(b"jpg")
    os.mkfifo(folder / "pipe.txt")
    done = ingest(service, folder)
    assert {s.path: s.reason for s in done.skipped} == {
        "key.md": "a link that leaves the folder",
        "loop.md": "cannot be read: Symlink loop from " + repr(str(folder / "loop.md")),
        "linked/": "a link to a folder",
        ".hidden/": "hidden",
        ".env.md": "hidden",
        "nul.txt": "binary",
        "latin.txt": "not UTF-8",
        "huge.txt": "larger than 100 bytes",
        "many.md": "more passages than a file may have",
        "photo.jpg": "not a kind of text that is indexed",
        "pipe.txt": "not a regular file",
    }
    assert {p.source for p in service.recall(ASKER, "bread", limit=20)} == {
        "again.md", "bread.txt", "docs/tides.md",
    }  # fmt: skip


def test_only_the_named_files_and_folders_are_taken(service: MemoryService, folder: Path) -> None:
    done = ingest(service, folder, only=("docs",))
    assert done.files == 1
    assert {p.source for p in service.recall(ASKER, "bread")} == {"docs/tides.md"}


def test_progress_reaches_the_end(service: MemoryService, folder: Path) -> None:
    seen: list[tuple[int, int, str]] = []
    ingest(service, folder, lambda done, total, file: seen.append((done, total, file)))
    assert sorted(seen) == [(1, 2, "bread.txt"), (2, 2, "docs/tides.md")]


def test_an_agent_cannot_add_to_the_documents(service: MemoryService, folder: Path) -> None:
    ingest(service, folder)
    best = service.recall(ASKER, WALL)[0]
    with pytest.raises(Exception, match="no entry"):
        service.forget(ASKER, best.id)


@pytest.mark.parametrize("name", ["nowhere", "bread.txt"])
def test_a_folder_that_is_none_is_told_in_words(
    service: MemoryService, folder: Path, name: str
) -> None:
    with pytest.raises(OperatorError, match="cannot be read"):
        ingest(service, folder / name)
