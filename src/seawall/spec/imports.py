"""Finds what a Python file imports from beside itself by reading it; never imports or runs it.

Those modules go where the file goes: into its image, and into the digest of it.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path as File

OURS = "seawall"
"""Never taken from beside a tool: it may be a checkout, and the image has its own."""
MODULES_MAX = 1000


def imported_beside(file: File) -> list[File]:
    """The modules and packages in the file's folder that it imports, also by way of one another.

    Imports inside functions count; names put together at run time cannot be seen.
    """
    folder, found, unread = file.parent, {file}, [file]
    while unread and len(found) < MODULES_MAX:
        for name in sorted(_names(unread.pop())):
            module = _at(folder, name)
            if module is not None and module not in found:
                found.add(module)
                unread += sorted(module.rglob("*.py")) if module.is_dir() else [module]
    return sorted(found - {file})


def _names(file: File) -> set[str]:
    """First parts of the names that a file imports; a file that cannot be read imports nothing."""
    try:
        tree = ast.parse(file.read_bytes())
    except (OSError, SyntaxError, ValueError, RecursionError, MemoryError):
        return set()
    return {name.partition(".")[0] for node in ast.walk(tree) for name in _of(node)} - {OURS}


def _of(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
        yield node.module


def _at(folder: File, name: str) -> File | None:
    """The module of that name, as Python would find it there."""
    package, module = folder / name, folder / f"{name}.py"
    if package.is_dir() and next(package.glob("*.py"), None) is not None:
        return package
    return module if module.is_file() else None
