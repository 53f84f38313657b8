"""Reads beforehand what a plan depends on besides the spec: prompts, and digests of code.

Keeps `plan` pure: it is given these values and opens no file.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field
from pathlib import Path as File

from .agents import BuildAgent, EntryAgent
from .faults import Faults, Path, Place
from .model import Spec
from .reading import read_text
from .tools import FunctionsSpec

FOLDER_FILES_MAX = 5000
FOLDER_BYTES_MAX = 256 * 1024**2
_IGNORED = {".git", ".seawall", ".venv", "__pycache__", "node_modules"}


@dataclass(frozen=True)
class Sources:
    """Prompts by agent; SHA-256 digests by path, as the spec writes paths."""

    prompts: dict[str, str] = field(default_factory=dict)
    digests: dict[str, str] = field(default_factory=dict)


def read(spec: Spec) -> Sources:
    """Read what the spec names.

    Raises:
        SpecError: a file went away or cannot be read.
    """
    faults = Faults()
    prompts: dict[str, str] = {}
    digests: dict[str, str] = {}
    folder = spec.home.folder
    for name, agent in spec.agents.items():
        prompts[name] = agent.instructions
        if agent.instructions_file is not None:
            path = folder / agent.instructions_file
            prompts[name] = read_text(path, Place(str(path)), faults) or ""
            digests[agent.instructions_file] = _digest(prompts[name].encode())
    for index, name in enumerate(spec.trusted_cas):
        at: Path = ("trusted_cas", index)
        digests[name] = _tree_digest(spec, folder / name, at, faults)
    for at, code in _code(spec):
        digests[code] = _tree_digest(spec, folder / code, at, faults)
    faults.raise_any()
    return Sources(prompts, digests)


def _code(spec: Spec) -> list[tuple[Path, str]]:
    """The files and folders of code that the spec names, and where it names them."""
    found: list[tuple[Path, str]] = []
    for name, agent in spec.agents.items():
        if isinstance(agent, BuildAgent):
            found.append((("agents", name, "build"), agent.build))
        elif isinstance(agent, EntryAgent):
            top = agent.entry.partition(":")[0].partition(".")[0]
            package = spec.home.folder / top
            found.append((("agents", name, "entry"), top if package.is_dir() else f"{top}.py"))
    for name, tool in spec.tools.items():
        if isinstance(tool, FunctionsSpec):
            found.append((("tools", name, "functions"), tool.functions))
    return found


def _tree_digest(spec: Spec, path: File, at: Path, faults: Faults) -> str:
    """One digest of a file, or of all files in a folder with their names."""
    try:
        if path.is_file():
            return _digest(path.read_bytes())
        files = sorted(_files(path)) if path.is_dir() else []
        if not files:
            faults.add(spec.home.place(at), at, f"there is no code at {path.name!r}")
            return ""
        total = sum(file.stat().st_size for file in files)
        if len(files) > FOLDER_FILES_MAX or total > FOLDER_BYTES_MAX:
            fault = f"holds more than {FOLDER_FILES_MAX} files or {FOLDER_BYTES_MAX // 1024**2} MiB"
            faults.add(spec.home.place(at), at, fault, "Name a folder with the code alone")
            return ""
        lines = [f"{f.relative_to(path).as_posix()} {_digest(f.read_bytes())}" for f in files]
        return _digest("\n".join(lines).encode())
    except OSError as error:
        faults.add(spec.home.place(at), at, f"{path.name!r} cannot be read: {error.strerror}")
        return ""


def _files(folder: File) -> list[File]:
    found = []
    for path in folder.rglob("*"):
        if path.is_file() and not _IGNORED & set(path.relative_to(folder).parts):
            found.append(path)
            if len(found) > FOLDER_FILES_MAX:
                break
    return found


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def package_name(reference: str) -> str:
    """A package's name without scope, version and extras."""
    return re.split(r"[@=<>~!\[ ]", reference.lstrip("@").rpartition("/")[2])[0]
