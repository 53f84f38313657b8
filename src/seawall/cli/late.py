"""Puts off the import of a module that others import at once and `check` never uses."""

from __future__ import annotations

import importlib
import sys
from types import ModuleType
from typing import Any


def put_off(name: str, *functions: str) -> None:
    """Let `import name` and `from name import function` cost nothing until they are used.

    A stand-in takes the module's place: it imports the real one at the first call of one of
    `functions`, or when anything else is asked of it. `importlib.util.LazyLoader` would not do,
    since `from name import function` already loads what it put off.
    """
    if name in sys.modules:
        return
    stand_in = ModuleType(name)

    def real() -> ModuleType:
        if sys.modules.get(name) is stand_in:
            del sys.modules[name]
        return importlib.import_module(name)

    def calling(function: str) -> Any:
        return lambda *args, **named: getattr(real(), function)(*args, **named)

    def other(attribute: str) -> Any:
        if attribute.startswith("__"):  # the import system asks for __path__ each time
            raise AttributeError(attribute)
        return getattr(real(), attribute)

    stand_in.__dict__["__getattr__"] = other
    stand_in.__dict__.update({function: calling(function) for function in functions})
    sys.modules[name] = stand_in
    parent, _, child = name.rpartition(".")
    if parent:
        setattr(importlib.import_module(parent), child, stand_in)
