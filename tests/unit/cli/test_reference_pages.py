"""The reference pages say what the code says: keys, commands, exit codes."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from types import ModuleType

import pytest

from seawall import errors
from seawall.cli.main import COMMANDS, EXIT_CODES, main

DOCS = Path(__file__).parents[3] / "docs"
ROW = re.compile(r"^\| (\d+) \| (.+?) \| ([^|]+) \|$", re.MULTILINE)


@pytest.fixture(scope="module")
def generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("generate", DOCS / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", ["spec.md", "cli.md"])
def test_the_generated_page_is_current(name: str, generator: ModuleType) -> None:
    path = DOCS / "reference" / name
    assert path.read_text() == generator.pages()[path], f"{name} is old: run make docs"


def test_the_page_of_exit_codes_is_complete() -> None:
    page = (DOCS / "reference" / "exit-codes.md").read_text()
    told = {int(code): meaning.replace("\\|", "|") for code, meaning, _ in ROW.findall(page)}
    assert told == EXIT_CODES


def test_every_exception_s_exit_code_is_documented() -> None:
    raised = {
        kind.exit_code
        for kind in vars(errors).values()
        if isinstance(kind, type) and issubclass(kind, errors.SeawallError)
    }
    assert raised <= set(EXIT_CODES)


@pytest.mark.parametrize("command", COMMANDS, ids=lambda c: c.name)
def test_every_command_tells_its_exit_codes(command, capsys) -> None:  # type: ignore[no-untyped-def]
    assert main([command.name, "--help"]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert f"exit codes: {', '.join(map(str, command.exits))}" in shown
    assert set(command.exits) <= set(EXIT_CODES)
