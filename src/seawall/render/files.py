"""What a renderer makes: files by path, and the author's or Seawall's own files to lay beside them.

Paths are relative to the folder that they are written to.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True)
class Copy:
    """A file or folder to copy.

    `origin` says from where: the spec's folder, there a folder of documents, or the package.
    """

    origin: Literal["spec", "documents", "package"]
    source: str
    target: str
    only: tuple[str, ...] = ()
    """Of documents: these files and folders alone; empty for all."""


@dataclass
class Rendered:
    """Everything a renderer made."""

    files: dict[str, str] = field(default_factory=dict)
    copies: list[Copy] = field(default_factory=list)
