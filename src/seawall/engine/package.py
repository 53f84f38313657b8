"""Seawall's own source, as it goes into images: for each program what it imports, and no more."""

from __future__ import annotations

import ast
import hashlib
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import seawall
from seawall.render.dockerfile import PROGRAMS, Code

ROOT = Path(seawall.__file__).parent
FACE = "seawall"
"""The package itself: its imports are for people's programs, and come late."""
NOT_FOR = {"bridge": ("seawall.memory",)}
"""What a program imports late and only in another image."""

_STARTED = re.compile(r'"(?:(seawall(?:\.\w+)+)|(\w+)\.py)"')
"""In source: a module for `python -m`, or a file beside that is run by its path."""


def code() -> dict[str, Code]:
    """For each of `PROGRAMS` its files, by their paths in the package."""
    return {name: _code(program, NOT_FOR.get(name, ())) for name, program in PROGRAMS.items()}


def source_files(part: Path) -> list[Path]:
    """A part's files, compiled ones left out."""
    found = [part] if part.is_file() else part.rglob("*")
    return sorted(f for f in found if f.is_file() and "__pycache__" not in f.parts)


def _code(program: str, without: tuple[str, ...]) -> Code:
    found: set[str] = set()
    unread = [program]
    while unread:
        name = unread.pop()
        if name in found or name.startswith(without or ("-",)):
            continue
        found.add(name)
        if "." in name:
            unread.append(name.rpartition(".")[0])
        if name != FACE:
            unread += _imports(name)
    files = sorted(file for name in found for file in _files(name))
    total = hashlib.sha256()
    for file in files:
        total.update(f"{file.as_posix()}\0".encode())
        total.update(hashlib.sha256((ROOT / file).read_bytes()).digest())
    return Code(tuple(file.as_posix() for file in files), total.hexdigest())


def _files(name: str) -> list[Path]:
    """A module's file; a package's, and what lies in it besides Python (scripts for Redis, say)."""
    path = _path(name)
    if path.name != "__init__.py" or name == FACE:
        return [path.relative_to(ROOT)]
    others = (f for f in source_files(path.parent) if f.suffix != ".py")
    return [f.relative_to(ROOT) for f in (path, *others)]


def _path(name: str) -> Path:
    folder = ROOT.joinpath(*name.split(".")[1:])
    return folder / "__init__.py" if folder.is_dir() else folder.with_suffix(".py")


@cache
def _imports(name: str) -> tuple[str, ...]:
    """The modules of ours that a module imports, late ones included, or starts as programs."""
    path = _path(name)
    text = path.read_text("utf-8")
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    started = {found[1] or f"{package}.{found[2]}" for found in _STARTED.finditer(text)}
    named = {*_named(ast.parse(text), package), *started}
    return tuple(sorted(n for n in named if n.startswith(f"{FACE}.") and _path(n).is_file()))


def _named(tree: ast.Module, package: str) -> Iterator[str]:
    """What the import statements name; only statements hold statements, the rest is not read."""
    unread: list[ast.AST] = [tree]
    while unread:
        node = unread.pop()
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            parts = package.split(".")[: len(package.split(".")) - node.level + 1]
            base = ".".join([*(parts if node.level else []), *filter(None, [node.module])])
            yield from (base, *(f"{base}.{alias.name}" for alias in node.names))
        elif not (isinstance(node, ast.If) and _for_types(node.test)):
            for field in ("body", "orelse", "finalbody", "handlers", "cases"):
                inner = getattr(node, field, ())
                unread += inner if isinstance(inner, list) else ()


def _for_types(test: ast.expr) -> bool:
    return isinstance(test, ast.Name) and test.id == "TYPE_CHECKING"
