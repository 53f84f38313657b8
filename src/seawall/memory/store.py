"""Chroma, embedded: a folder with one owner, and collections of vectors made elsewhere.

Everything here blocks. Nothing here knows agents, rights or scopes.
"""

from __future__ import annotations

import contextlib
import tempfile
import threading
import time
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Self

from seawall.errors import OperatorError

if TYPE_CHECKING:
    from chromadb.api import ClientAPI
    from chromadb.api.models.Collection import Collection

LOCK_WAIT_SECONDS = 3.0
SEARCH_WIDTH = 200
"""Candidates that the index looks at (`ef_search`): above Chroma's 100, for filtered queries."""


class Store:
    """One Chroma in one folder, used by one process. Open with `Store.open`, end with `close`."""

    def __init__(self, client: ClientAPI, lock: IO[str] | None, temporary: Any) -> None:
        self._client = client
        self._lock = lock
        self._temporary = temporary
        self._holders = 1
        self._counting = threading.Lock()
        self._known: dict[str, Collection] = {}

    @classmethod
    def open(cls, folder: Path | None) -> Self:
        """Open the store in `folder`, or in a temporary one that goes away with `close`.

        Raises:
            OperatorError: Chroma is not installed, the folder cannot be used, or another process
                uses it.
        """
        temporary = None
        if folder is None:
            temporary = tempfile.TemporaryDirectory(prefix="seawall-memory-")
            folder = Path(temporary.name)
        lock = _lock(folder)
        try:
            return cls(_client(folder), lock, temporary)
        except BaseException:
            lock.close()
            if temporary is not None:
                temporary.cleanup()
            raise

    def share(self) -> bool:
        """Hold it once more, to be closed once more; False when it has been closed for good."""
        with self._counting:
            if not self._holders:
                return False
            self._holders += 1
            return True

    def close(self) -> None:
        """Give the folder back once nobody holds it; a temporary one is removed."""
        with self._counting:
            self._holders -= 1
            if self._holders:
                return
        self._known.clear()
        self._client.close()  # type: ignore[attr-defined]  # of the client, not of its interface
        if self._lock is not None:
            self._lock.close()
        if self._temporary is not None:
            self._temporary.cleanup()

    def find(self, name: str) -> Collection | None:
        """Return a collection, or None where there is none yet."""
        from chromadb.errors import NotFoundError

        if name not in self._known:
            try:
                # No embedding function, ever: the default one downloads a model at run time.
                found = self._client.get_collection(name, embedding_function=None)
            except NotFoundError:
                return None
            self._known[name] = found
        return self._known[name]

    def make(self, name: str, kind: str) -> Collection:
        """Return a collection, making it first where there is none."""
        found = self.find(name)
        if found is None:
            found = self._known[name] = self._client.create_collection(
                name,
                metadata={"kind": kind, "made_at": time.time()},
                embedding_function=None,
                configuration={"hnsw": {"space": "cosine", "ef_search": SEARCH_WIDTH}},
            )
        return found

    def of_kind(self, kind: str) -> list[str]:
        """Return the names of all collections of a kind, the oldest first."""
        found = [
            c for c in self._client.list_collections() if (c.metadata or {}).get("kind") == kind
        ]
        return [c.name for c in sorted(found, key=lambda c: float((c.metadata or {})["made_at"]))]

    def drop(self, name: str) -> None:
        """Remove a collection and all that is in it."""
        self._client.delete_collection(name)
        self._known.pop(name, None)


class Stores:
    """Opens each folder once for all who ask: so a mesh can start while it replaces another."""

    def __init__(self) -> None:
        self._stores: dict[Path, Store] = {}
        self._lock = threading.Lock()

    def open(self, folder: Path | None) -> Store:
        """As `Store.open`, or the open store of this folder; the caller closes it either way."""
        if folder is None:
            return Store.open(None)
        with self._lock:
            store = self._stores.get(folder)
            if store is None or not store.share():
                store = self._stores[folder] = Store.open(folder)
            return store


def _client(folder: Path) -> ClientAPI:
    try:
        import chromadb
        from chromadb.config import Settings
    except ImportError as error:
        raise OperatorError(
            "memory", f"{error.name} is not installed", "Run: pip install 'seawall[dev]'"
        ) from error
    # `_env_file`: Chroma would read the `.env` of whatever folder the user stands in.
    settings = Settings(anonymized_telemetry=False, _env_file=None)
    try:
        return chromadb.PersistentClient(folder / "chroma", settings)
    except Exception as error:
        # Chroma's own bindings raise many kinds; whichever it is, the folder cannot be read.
        raise OperatorError(
            str(folder), f"Chroma cannot open it: {error}", "Move the folder away to index anew"
        ) from error


def _lock(folder: Path) -> IO[str]:
    """Take the folder for this process: two Chromas on one folder corrupt its index.

    The kernel gives the lock back however the process ends.
    """
    import fcntl

    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        file = (folder / "lock").open("w")
    except OSError as error:
        fault = f"memory cannot be kept here: {error.strerror}"
        raise OperatorError(str(folder), fault, "Make the folder writable") from error
    deadline = time.monotonic() + LOCK_WAIT_SECONDS
    while True:
        with contextlib.suppress(BlockingIOError):
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return file
        if time.monotonic() > deadline:
            file.close()
            fault = "another process uses this memory"
            raise OperatorError(
                str(folder), fault, "End the other `seawall dev` of this mesh first"
            )
        time.sleep(0.1)
