"""Seawall's own source, as it goes into images: where it is, and a digest of each part."""

from __future__ import annotations

import hashlib
from pathlib import Path

import seawall
from seawall.render.dockerfile import PARTS, SHARED_PARTS

ROOT = Path(seawall.__file__).parent


def digests() -> dict[str, str]:
    """SHA-256 of every part that an image may hold, by its path in the package."""
    parts = sorted({*SHARED_PARTS, *(part for parts in PARTS.values() for part in parts)})
    return {part: _digest(ROOT / part) for part in parts}


def source_files(part: Path) -> list[Path]:
    """A part's files, compiled ones left out."""
    found = [part] if part.is_file() else part.rglob("*")
    return sorted(f for f in found if f.is_file() and "__pycache__" not in f.parts)


def _digest(part: Path) -> str:
    total = hashlib.sha256()
    for file in source_files(part):
        total.update(f"{file.relative_to(ROOT).as_posix()}\0".encode())
        total.update(hashlib.sha256(file.read_bytes()).digest())
    return total.hexdigest()
