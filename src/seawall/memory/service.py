"""Memory with rights: who may remember, recall and forget what.

Every call comes with a verified caller; the scopes decide which collection it reaches. All of it
blocks and may be called from any thread; `backend.py` keeps it off the event loop.
"""

from __future__ import annotations

import contextlib
import importlib
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, Self

from seawall.errors import Refused
from seawall.memory.embed import SPACE, tell_nothing
from seawall.memory.passage import (
    ENTRIES_MAX,
    LISTED_MAX,
    PIECE,
    QUERY_MAX,
    RESULTS_MAX,
    RUNS_MAX,
    SCOPES,
    TEXT_MAX,
    Passage,
    Piece,
    Scope,
    check_count,
    check_scope,
    check_text,
    collection_of,
    entry_id_of,
    passage_of,
)
from seawall.memory.store import Store
from seawall.wire.profiles import MemoryTool
from seawall.wire.tools import Caller

if TYPE_CHECKING:
    from chromadb.api.models.Collection import Collection

    from seawall.memory.minilm import Array


class Embeds(Protocol):
    """What turns texts into unit vectors."""

    def embed(self, texts: Sequence[str]) -> Array:
        """Return one row for each text."""


def preload() -> None:
    """Import what memory needs, in the calling thread.

    Imports of two threads that meet in one package can fail, so a process with much to import does
    it all in one thread and calls this there. What is not installed is told by the first call.
    """
    tell_nothing()
    for name in ("chromadb", "onnxruntime", "tokenizers"):
        with contextlib.suppress(ImportError):
            importlib.import_module(name)


class MemoryService:
    """The one owner of a memory folder. Opens on first use, or ahead of it by `start`."""

    def __init__(
        self,
        folder: Path | None,
        embedder_factory: Callable[[], Embeds],
        tool: MemoryTool | None = None,
        open_store: Callable[[Path | None], Store] = Store.open,
    ) -> None:
        """Keep memory in `folder`, or in a temporary one for None; `tool` says who may do what."""
        self._open_store = open_store
        self._folder = folder
        self._factory = embedder_factory
        self._tool = tool or MemoryTool()
        self._lock = threading.RLock()
        self._starter: ThreadPoolExecutor | None = None
        self._opening: Future[Store] | None = None
        self._loading: Future[Embeds] | None = None
        self._sources: dict[str, set[str]] = {}

    def start(self) -> Self:
        """Begin to open the store and load the model in a thread; returns at once.

        Chroma's import alone takes seconds, so the sooner the better; but whoever imports other
        large libraries meanwhile calls `preload` first. Faults are raised by the first call that
        needs what failed.
        """
        with self._lock:
            if self._starter is None:
                # One thread, not two: numpy imported from two threads at once came out half made
                # (CPython breaks a deadlock of import locks by handing out unfinished modules).
                self._starter = ThreadPoolExecutor(1, "seawall-memory")
                self._opening = self._starter.submit(self._open_store, self._folder)
                self._loading = self._starter.submit(self._factory)
        return self

    def close(self) -> None:
        """Give the folder back. May be called twice; the service can be used again afterwards."""
        with self._lock:
            starter, opening = self._starter, self._opening
            self._starter = self._opening = self._loading = None
            self._sources.clear()
            if starter is not None:
                starter.shutdown()
            if opening is not None and opening.exception() is None:
                opening.result().close()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.close()

    def remember(self, caller: Caller, text: str, scope: Scope = "mine") -> str:
        """Keep a text and return its id; the same text again is the same entry.

        Raises Refused: a bad text or scope, no right, or too many entries.
        """
        check_text("text", text, TEXT_MAX)
        self._may_write(caller, scope)
        with self._lock:
            entry = entry_id_of(caller, text, scope)
            collection = self._make(collection_of(caller, scope), scope)
            self._check_room(collection, caller, entry)
            source = f"memory/{caller.agent}"
            about: Any = {
                "agent": caller.agent,
                "run": caller.run,
                "source": source,
                "at": time.time(),
            }
            vector = self._embed_whole(text)
            collection.upsert([entry], embeddings=vector, documents=[text], metadatas=[about])
            self._sources.pop(collection.name, None)
        return entry

    def recall(
        self,
        caller: Caller,
        query: str,
        limit: int = 5,
        scope: Scope | None = None,
        source: str = "",
    ) -> list[Passage]:
        """Return the passages nearest in meaning, the best first.

        Looks in one scope, or for None in all that the caller may read. `source` keeps only
        passages whose source begins with it. Raises Refused.
        """
        check_text("query", query, QUERY_MAX)
        check_count(limit, RESULTS_MAX)
        scopes = self._readable(caller, scope)
        with self._lock:
            vector = self._embedder().embed([query])
            found = [p for one in scopes for p in self._search(caller, one, vector, limit, source)]
        return sorted(found, key=lambda passage: (-passage.score, passage.id))[:limit]

    def forget(self, caller: Caller, entry: str) -> None:
        """Remove an entry of the caller's own, in whichever scope it is.

        Raises Refused: the caller has no such entry; whether another has, is not told.
        """
        with self._lock:
            for scope in ("mine", "run", "mesh"):
                if scope == "run" and not caller.run:
                    continue
                collection = self._store().find(collection_of(caller, scope))
                own: Any = {"agent": caller.agent}
                if collection and collection.get([entry], where=own, include=[])["ids"]:
                    collection.delete([entry])
                    self._sources.pop(collection.name, None)
                    return
        raise Refused("not_found", f"you have no entry {entry[:80]!r}", "List yours", "memory")

    def entries(self, caller: Caller, scope: Scope = "mine", limit: int = 50) -> list[Passage]:
        """Return the caller's own entries in a scope, the newest first. Raises Refused."""
        check_count(limit, LISTED_MAX)
        if scope == "documents":
            raise Refused("scope", "documents are not listed", "Recall from them", "memory")
        self._readable(caller, scope)
        with self._lock:
            collection = self._store().find(collection_of(caller, scope))
            if collection is None:
                return []
            own: Any = {"agent": caller.agent}
            got = collection.get(where=own, include=["documents", "metadatas"])
        rows = list(zip(got["ids"], got["documents"] or [], got["metadatas"] or [], strict=True))
        rows.sort(key=lambda row: (-float(str(row[2]["at"])), row[0]))
        return [passage_of(entry, text, about, 1.0, scope) for entry, text, about in rows[:limit]]

    def indexed(self) -> dict[str, str]:
        """Return the digest of each document that is in the index whole.

        A document cut short by a crash has fewer pieces than it says, and is left out.
        """
        with self._lock:
            collection = self._store().find(f"documents-{SPACE}")
            got = collection.get(include=["metadatas"])["metadatas"] if collection else []
        whole: dict[tuple[str, str, int], int] = {}
        for about in got or []:
            key = (str(about["source"]), str(about["digest"]), int(str(about["pieces"])))
            whole[key] = whole.get(key, 0) + 1
        counts: dict[str, int] = {}
        for source, _, _ in whole:
            counts[source] = counts.get(source, 0) + 1
        return {
            source: digest if pieces == count and counts[source] == 1 else ""
            for (source, digest, pieces), count in whole.items()
        }

    def index(self, pieces: Sequence[Piece]) -> None:
        """Add pieces of documents to the index. For the mesh's own ingestion, not for agents."""
        if not pieces:
            return
        vectors = self._embedder().embed([piece.read for piece in pieces])
        with self._lock:
            collection = self._make(f"documents-{SPACE}", "documents")
            collection.upsert(
                [piece.id for piece in pieces],
                embeddings=vectors,
                documents=[piece.text for piece in pieces],
                metadatas=[piece.metadata for piece in pieces],
            )
            self._sources.pop(collection.name, None)

    def unindex(self, sources: Iterable[str]) -> None:
        """Remove whole documents from the index."""
        gone = sorted(sources)
        with self._lock:
            collection = self._store().find(f"documents-{SPACE}")
            if collection is not None and gone:
                collection.delete(where={"source": {"$in": gone}})  # type: ignore[dict-item]
                self._sources.pop(collection.name, None)

    def _search(
        self, caller: Caller, scope: Scope, vector: Array, limit: int, source: str
    ) -> list[Passage]:
        collection = self._store().find(collection_of(caller, scope))
        count = collection.count() if collection else 0
        if collection is None or not count:
            return []
        where: Any = None
        if source:
            matching = [s for s in self._all_sources(collection) if s.startswith(source)]
            if not matching:
                return []
            where = {"source": {"$in": sorted(matching)}}
        got = collection.query(query_embeddings=vector, n_results=min(limit, count), where=where)
        texts, abouts = (got["documents"] or [[]])[0], (got["metadatas"] or [[]])[0]
        rows = zip(got["ids"][0], texts, abouts, (got["distances"] or [[]])[0], strict=True)
        return [passage_of(entry, text, about, 1 - far, scope) for entry, text, about, far in rows]

    def _all_sources(self, collection: Collection) -> set[str]:
        """Every source of a collection: Chroma filters by equality only, so prefixes are ours."""
        if collection.name not in self._sources:
            abouts = collection.get(include=["metadatas"])["metadatas"] or []
            self._sources[collection.name] = {str(about["source"]) for about in abouts}
        return self._sources[collection.name]

    def _readable(self, caller: Caller, scope: Scope | None) -> list[Scope]:
        """The scopes to look in. `readers` guards what is shared; own entries need no grant."""
        shared = any(fnmatchcase(caller.agent, pattern) for pattern in self._tool.readers)
        if scope is None:
            open_to = [one for one in SCOPES if one == "mine" or shared]
            return [one for one in open_to if one != "run" or caller.run]
        check_scope(caller, scope)
        if scope != "mine" and not shared:
            raise Refused("not_granted", f"{caller.agent} may not read {scope}", "", "memory")
        return [scope]

    def _may_write(self, caller: Caller, scope: Scope) -> None:
        check_scope(caller, scope)
        if scope == "documents":
            fault = "documents come from the mesh's folder and cannot be added to"
            raise Refused("not_granted", fault, "Use the scope mine, run or mesh", "memory")
        granted = any(fnmatchcase(caller.agent, pattern) for pattern in self._tool.writers)
        if scope != "mine" and not granted:
            fault = f"{caller.agent} may not write to {scope}"
            raise Refused("not_granted", fault, "Use the scope mine", "memory")

    def _check_room(self, collection: Collection, caller: Caller, entry: str) -> None:
        own: Any = {"agent": caller.agent}
        kept = collection.get(where=own, include=[])["ids"]
        if len(kept) >= ENTRIES_MAX and entry not in kept:
            fault = f"you keep {len(kept)} entries here, at most {ENTRIES_MAX} fit"
            raise Refused("full", fault, "Forget some first", "memory")

    def _make(self, name: str, kind: str) -> Collection:
        store = self._store()
        if kind == "run" and store.find(name) is None:
            for old in store.of_kind("run")[: -(RUNS_MAX - 1)]:
                store.drop(old)
                self._sources.pop(old, None)
        return store.make(name, kind)

    def _embed_whole(self, text: str) -> Array:
        import numpy as np

        pieces = [text[start : start + PIECE] for start in range(0, len(text), PIECE)]
        mean = self._embedder().embed(pieces).mean(axis=0, keepdims=True)
        unit: Array = mean / max(float(np.linalg.norm(mean)), 1e-9)
        return unit

    def _store(self) -> Store:
        self.start()
        assert self._opening is not None  # noqa: S101 - `start` set it
        return self._opening.result()

    def _embedder(self) -> Embeds:
        self.start()
        assert self._loading is not None  # noqa: S101 - `start` set it
        return self._loading.result()
