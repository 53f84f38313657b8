"""Writes specs into a folder of the test's own and loads them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from seawall.errors import SpecError
from seawall.spec.load import load
from seawall.spec.model import Spec

HEAD = """\
seawall: 1
name: mesh
main: a
defaults: {model: "anthropic:claude-sonnet-4-5"}
"""
Write = Callable[..., Path]
Faults = Callable[..., list[str]]
Load = Callable[..., Spec]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write `seawall.yaml` and other files; returns the spec's path."""

    def write(text: str | bytes, **others: str) -> Path:
        for name, content in {**others}.items():
            path = tmp_path / name.replace("__", ".").replace("___", "/")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content)
        spec = tmp_path / "seawall.yaml"
        spec.write_bytes(text if isinstance(text, bytes) else text.encode())
        return spec

    return write


@pytest.fixture
def faults(write: Write) -> Faults:
    """The faults of a spec, without the folder's name; none when it loads."""

    def faults(text: str | bytes, env: str | None = None, **others: str) -> list[str]:
        path = write(text, **others)
        try:
            load(path, env)
        except SpecError as error:
            return [line.replace(f"{path.parent}/", "") for line in error.faults]
        return []

    return faults


@pytest.fixture
def loaded(write: Write) -> Load:
    """A spec that must load."""

    def loaded(text: str, env: str | None = None, **others: str) -> Spec:
        return load(write(text, **others), env)

    return loaded
