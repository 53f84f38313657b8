"""Reads beforehand what a plan depends on besides the spec: prompts, and digests of code.

Keeps `plan` pure: it is given these values and opens no file.
"""

from __future__ import annotations

import hashlib
import os
import re
from dataclasses import dataclass, field
from pathlib import Path as File

from seawall.wire import documents

from .agents import BuildAgent, EntryAgent
from .faults import Faults, Path, Place
from .imports import imported_beside
from .model import Spec
from .pylock import as_requirements, is_lock
from .reading import read_text
from .requirements import Pin, read_pins
from .tools import FunctionsSpec, MemoryKeys, MemorySpec

FOLDER_FILES_MAX = 5000
FOLDER_BYTES_MAX = 256 * 1024**2
_IGNORED = {"__pycache__", "node_modules"}


@dataclass(frozen=True)
class Sources:
    """Prompts by agent; SHA-256 digests by path, as the spec writes paths."""

    prompts: dict[str, str] = field(default_factory=dict)
    digests: dict[str, str] = field(default_factory=dict)
    beside: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """A file of functions to the modules beside it that it imports, as paths with digests."""
    documents: dict[str, str] = field(default_factory=dict)
    """A memory tool to the digest of its documents."""
    pins: dict[str, tuple[Pin, ...]] = field(default_factory=dict)
    """A requirements file to its packages."""
    locked: dict[str, str] = field(default_factory=dict)
    """A `pylock.toml` to the lines that pip takes."""


def read(spec: Spec, *, with_documents: bool = True) -> Sources:
    """Read what the spec names; without documents it is quick, and enough to find faults.

    Raises:
        SpecError: a file went away or cannot be read.
    """
    reader = _Reader(spec)
    for name, agent in spec.agents.items():
        reader.prompt(name, agent.instructions, agent.instructions_file)
        if isinstance(agent, BuildAgent):
            reader.code(agent.build, ("agents", name, "build"))
        elif isinstance(agent, EntryAgent):
            top = agent.entry.partition(":")[0].partition(".")[0]
            package = (spec.home.folder / top).is_dir()
            reader.code(top if package else f"{top}.py", ("agents", name, "entry"))
            reader.requirements(agent.requirements, ("agents", name, "requirements"))
    for name, tool in spec.tools.items():
        if isinstance(tool, FunctionsSpec):
            reader.functions(name, tool)
        elif isinstance(tool, MemorySpec) and with_documents:
            reader.documents(name, tool.memory)
    for index, certificates in enumerate(spec.trusted_cas):
        reader.code(certificates, ("trusted_cas", index))
    if spec.script is not None:
        reader.code(spec.script, ("script",))
    reader.faults.raise_any()
    return reader.sources


@dataclass(frozen=True)
class _Reader:
    """Gathers sources, and the faults on the way."""

    spec: Spec
    faults: Faults = field(default_factory=Faults)
    sources: Sources = field(default_factory=Sources)

    def prompt(self, agent: str, text: str, path: str | None) -> None:
        if path is not None:
            file = self.spec.home.folder / path
            text = read_text(file, Place(str(file)), self.faults) or ""
            self.sources.digests[path] = _digest(text.encode())
        self.sources.prompts[agent] = text

    def functions(self, name: str, tool: FunctionsSpec) -> None:
        folder = self.spec.home.folder
        self.code(tool.functions, ("tools", name, "functions"))
        found = (p.relative_to(folder) for p in imported_beside(folder / tool.functions))
        beside = self.sources.beside[tool.functions] = tuple(p.as_posix() for p in found)
        for path in beside:
            self.code(path, ("tools", name, "functions"))
        for index, path in enumerate(tool.files):
            self.code(path, ("tools", name, "files", index))
        self.requirements(tool.requirements, ("tools", name, "requirements"))

    def documents(self, name: str, keys: MemoryKeys) -> None:
        if keys.documents is None:
            return
        root = self.spec.home.folder / keys.documents
        lines = [
            f"{file.relative_to(root).as_posix()} {_digest(file.read_bytes())}"
            for file in listed_documents(root, keys.only)
        ]
        self.sources.documents[name] = _digest("\n".join(lines).encode())

    def requirements(self, path: str | None, at: Path) -> None:
        if path is None:
            return
        self.code(path, at)
        file = self.spec.home.folder / path
        text = read_text(file, Place(str(file)), self.faults) or ""
        lines, _ = as_requirements(path, text)  # `check` tells its faults
        self.sources.pins[path] = tuple(read_pins(lines, unhashed=True)[0])
        if is_lock(path):
            self.sources.locked[path] = lines

    def code(self, path: str, at: Path) -> None:
        """Note one digest of a file, or of all files in a folder with their names."""
        file, place = self.spec.home.folder / path, self.spec.home.place(at)
        try:
            files = listed(file)
            if not files:
                self.faults.add(place, at, f"there is no code at {path!r}")
                return
            total = sum(file.stat().st_size for file in files)
            if len(files) > FOLDER_FILES_MAX or total > FOLDER_BYTES_MAX:
                mib = FOLDER_BYTES_MAX // 1024**2
                fault = f"holds more than {FOLDER_FILES_MAX} files or {mib} MiB"
                self.faults.add(place, at, fault, "Name a folder with the code alone")
                return
            self.sources.digests[path] = _digest_of(file, files)
        except OSError as error:
            self.faults.add(place, at, f"{path!r} cannot be read: {error.strerror}")


def listed(path: File) -> list[File]:
    """The file, or the files in the folder; hidden ones and those that tools made are left out.

    Stops soon after `FOLDER_FILES_MAX`.
    """
    if path.is_file():
        return [path]
    found: list[File] = []
    for at, folders, names in os.walk(path):
        # Hidden: .git, .venv, .env: nothing that belongs into an image.
        folders[:] = sorted(f for f in folders if not f.startswith(".") and f not in _IGNORED)
        found += (
            file
            for name in names
            if not name.startswith(".") and (file := File(at, name)).is_file()
        )
        if len(found) > FOLDER_FILES_MAX:
            break
    return sorted(found)


def listed_documents(root: File, only: tuple[str, ...]) -> list[File]:
    """The files that memory may index, at most as many as it takes."""
    found: list[File] = []
    real = root.resolve()
    for file in documents.walk(real, only):
        try:
            if documents.unfit(real, file):
                continue
        except (OSError, RuntimeError):  # a broken link; memory tells about it
            continue
        found.append(root / file.relative_to(real))
        if len(found) == documents.FILES_MAX:
            break
    return found


def _digest_of(path: File, files: list[File]) -> str:
    if files == [path]:
        return _digest(path.read_bytes())
    lines = [f"{f.relative_to(path).as_posix()} {_digest(f.read_bytes())}" for f in files]
    return _digest("\n".join(lines).encode())


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def package_name(reference: str) -> str:
    """A package's name without scope, version and extras."""
    return re.split(r"[@=<>~!\[ ]", reference.lstrip("@").rpartition("/")[2])[0]
