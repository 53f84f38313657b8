"""Finds the functions marked `@tool` in a Python file by reading it; never imports or runs it."""

from __future__ import annotations

import ast
from pathlib import Path as File

from .faults import Faults, Place
from .reading import read_text

PACKAGE = "seawall"
MARK = "tool"


def marked_functions(path: File, shown: str, faults: Faults) -> tuple[str, ...] | None:
    """Names of the marked functions in their order; None when the file cannot be read."""
    text = read_text(path, Place(shown), faults)
    if text is None:
        return None
    try:
        tree = ast.parse(text)
    except (SyntaxError, RecursionError, MemoryError, ValueError) as error:
        line = getattr(error, "lineno", None) or 0
        reason = getattr(error, "msg", None) or "it is nested too deeply"
        faults.add(Place(shown, line), (), f"is not valid Python: {reason}")
        return None
    names, modules = _imported(tree)
    return tuple(
        node.name
        for node in tree.body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and any(_is_mark(decorator, names, modules) for decorator in node.decorator_list)
    )


def _imported(tree: ast.Module) -> tuple[set[str], set[str]]:
    """The names under which the mark and the package are known in the file."""
    names, modules = set(), set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == PACKAGE:
            names |= {alias.asname or alias.name for alias in node.names if alias.name == MARK}
        elif isinstance(node, ast.Import):
            modules |= {alias.asname or PACKAGE for alias in node.names if alias.name == PACKAGE}
    return names, modules


def _is_mark(decorator: ast.expr, names: set[str], modules: set[str]) -> bool:
    used = decorator.func if isinstance(decorator, ast.Call) else decorator
    if isinstance(used, ast.Name):
        return used.id in names
    if isinstance(used, ast.Attribute) and isinstance(used.value, ast.Name):
        return used.attr == MARK and used.value.id in modules
    return False
