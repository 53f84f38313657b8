"""AI agents in containers they cannot climb out of."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from seawall.bridges.mark import tool
    from seawall.mesh import Mesh

__all__ = ["Mesh", "tool"]
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    """Import public names when they are first used: `seawall --help` needs none of them."""
    if name == "Mesh":
        from seawall.mesh import Mesh

        return Mesh
    if name == "tool":
        from seawall.bridges.mark import tool

        return tool
    raise AttributeError(f"module 'seawall' has no attribute {name!r}")
