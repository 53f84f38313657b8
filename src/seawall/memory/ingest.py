"""A folder of documents into memory, only what changed since the last time.

Reads files and nothing else; whatever is left out is told with its reason. Blocks: call it from a
thread.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from seawall.errors import OperatorError
from seawall.memory.chunk import CHUNKER_VERSION, cut, is_known
from seawall.memory.passage import Piece
from seawall.memory.service import MemoryService
from seawall.wire.documents import FILES_MAX, unfit, walk

FILE_CHUNKS_MAX = 500
CHUNKS_MAX = 20_000
"""Chunks of the whole folder."""
BATCH_CHUNKS = 32
"""Chunks embedded between two looks at the store, so that recall need not wait for long."""

Progress = Callable[[int, int, str], None]
"""Called with files done, files in all, and the file at hand."""


@dataclass(frozen=True, slots=True)
class Skipped:
    """A file or folder that was left out."""

    path: str
    reason: str


@dataclass(frozen=True, slots=True)
class Ingested:
    """What an ingestion came to."""

    files: int
    """Files in the index now."""
    chunks: int
    """Chunks added this time."""
    unchanged: int
    """Files that were there already."""
    removed: int
    seconds: float
    skipped: tuple[Skipped, ...] = ()


def ingest(
    service: MemoryService,
    folder: Path,
    progress: Progress | None = None,
    *,
    only: Sequence[str] = (),
    prefix: str = "",
) -> Ingested:
    """Make the index hold exactly the documents of `folder`.

    `only` names files and folders below it to take, all of them if empty. Sources are paths
    relative to the folder, behind `prefix`. Raises OperatorError: the folder cannot be read.
    """
    begun = time.monotonic()
    service.start()
    skipped: list[Skipped] = []
    documents = {prefix + d.name: d for d in _documents(folder, only, skipped)}
    indexed = service.indexed()
    changed = {s: d for s, d in documents.items() if indexed.get(s) != d.digest}
    removed = indexed.keys() - documents.keys()
    service.unindex(removed | (changed.keys() & indexed.keys()))
    work = _Work(service, progress, len(changed), skipped)
    for source, document in changed.items():
        work.add(source, document)
    work.flush()
    return Ingested(
        files=len(documents) - work.empty,
        chunks=work.chunks,
        unchanged=len(documents) - len(changed),
        removed=len(removed),
        seconds=time.monotonic() - begun,
        skipped=tuple(skipped),
    )


@dataclass(frozen=True, slots=True)
class _Document:
    name: str
    text: str
    digest: str


class _Work:
    """Chunks waiting to be embedded, a batch at a time, and the count of what is done."""

    def __init__(
        self, service: MemoryService, progress: Progress | None, total: int, skipped: list[Skipped]
    ) -> None:
        self.chunks = 0
        self.empty = 0
        self._service = service
        self._progress = progress
        self._total = total
        self._skipped = skipped
        self._pieces: list[Piece] = []
        self._done = 0
        self._ready: list[str] = []

    def add(self, source: str, document: _Document) -> None:
        pieces = list(_pieces(source, document))
        if len(pieces) > FILE_CHUNKS_MAX or self.chunks + len(pieces) > CHUNKS_MAX:
            whose = "a file" if len(pieces) > FILE_CHUNKS_MAX else "a folder"
            self._skipped.append(Skipped(document.name, f"more passages than {whose} may have"))
            pieces = []
        self.empty += not pieces
        self.chunks += len(pieces)
        self._pieces += pieces
        self._ready.append(document.name)
        while len(self._pieces) >= BATCH_CHUNKS:
            self._service.index(self._pieces[:BATCH_CHUNKS])
            del self._pieces[:BATCH_CHUNKS]
        if not self._pieces:
            self._tell()

    def flush(self) -> None:
        self._service.index(self._pieces)
        self._pieces = []
        self._tell()

    def _tell(self) -> None:
        """Report files only once all their chunks are in."""
        for name in self._ready:
            self._done += 1
            if self._progress is not None:
                self._progress(self._done, self._total, name)
        self._ready = []


def _pieces(source: str, document: _Document) -> Iterator[Piece]:
    chunks = cut(Path(document.name), document.text)
    for index, chunk in enumerate(chunks):
        yield Piece(
            id=_piece_id(source, index),
            text=chunk.text,
            read=f"{chunk.heading}\n{chunk.text}" if chunk.heading else chunk.text,
            metadata={
                "source": source,
                "line_first": chunk.line_first,
                "line_last": chunk.line_last,
                "heading": chunk.heading,
                "digest": document.digest,
                "pieces": len(chunks),
            },
        )


def _piece_id(source: str, index: int) -> str:
    return f"d-{hashlib.sha256(f'{index} {source}'.encode()).hexdigest()[:16]}"


def _documents(folder: Path, only: Sequence[str], skipped: list[Skipped]) -> Iterator[_Document]:
    """Read every document below the folder, in the order of their names."""
    try:
        root = folder.resolve(strict=True)
        next(root.iterdir(), None)
    except OSError as error:
        fault = f"cannot be read: {error.strerror}"
        raise OperatorError(str(folder), fault, "Name a folder of documents") from error

    def skip(left_out: Path, reason: str) -> None:
        skipped.append(Skipped(left_out.relative_to(root).as_posix() + "/", reason))

    count = 0
    for path in walk(root, only, skip):
        name = path.relative_to(root).as_posix()
        if count >= FILES_MAX:
            skipped.append(Skipped(name, f"more than {FILES_MAX} files"))
            return
        text = _read(root, path)
        if isinstance(text, Skipped):
            skipped.append(text)
            continue
        count += 1
        stamp = f"{CHUNKER_VERSION}\0{text}".encode()
        yield _Document(name, text, hashlib.sha256(stamp).hexdigest()[:32])


def _read(root: Path, path: Path) -> str | Skipped:
    name = path.relative_to(root).as_posix()
    if not path.name.startswith(".") and not is_known(path):
        return Skipped(name, "not a kind of text that is indexed")
    try:
        reason = unfit(root, path)
        if reason:
            return Skipped(name, reason)
        raw = path.read_bytes()
    except (OSError, RuntimeError) as error:  # RuntimeError: a loop of links, on Python 3.11
        return Skipped(name, f"cannot be read: {getattr(error, 'strerror', None) or error}")
    if b"\0" in raw:
        return Skipped(name, "binary")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        return Skipped(name, "not UTF-8")
