"""The commands for a mesh on Docker: what they show and refuse before they ask an engine."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from seawall.cli.main import main
from seawall.cli.ps import summary
from seawall.engine.project import Container

SPEC = """\
seawall: 1
name: mesh
main: a
defaults: {model: "anthropic:claude-sonnet-4-5"}
agents: {a: {instructions: Answer.}}
"""


@pytest.fixture
def spec(tmp_path: Path) -> str:
    path = tmp_path / "seawall.yaml"
    path.write_text(SPEC)
    return str(path)


def one(service: str, number: int, state: str) -> Container:
    return Container("id", service, number, "image", state, "Up 1 second")


def test_ps_counts_replicas_by_state_and_shows_what_is_missing() -> None:
    found = [
        one("a", 1, "ready"),
        one("a", 2, "ready"),
        one("a", 3, "exited"),
        one("old", 1, "ready"),
    ]
    assert summary(found, {"a": 3, "b": 2}) == [
        ("a", "1 of 3", "exited", "Up 1 second"),
        ("a", "2 of 3", "ready", "Up 1 second"),
        ("b", "0 of 2", "missing", ""),
        ("old", "1 of 1", "ready", "Up 1 second"),
    ]


def test_secrets_say_what_is_missing_and_never_a_value(
    spec: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("ANTHROPIC_API_KEY", raising=False)
    assert main(["secrets", "-f", spec, "--json"]) == 3
    (row,) = json.loads(capsys.readouterr().out)
    assert (row["name"], row["from"]) == ("ANTHROPIC_API_KEY", "$ANTHROPIC_API_KEY")
    assert row["given_to"] == ["gateway of agent/a"]
    assert row["missing"] == "ANTHROPIC_API_KEY is not set"
    monkeypatch.setenv("ANTHROPIC_API_KEY", "the-value")
    assert main(["secrets", "-f", spec]) == 0
    shown = capsys.readouterr().out
    assert "there" in shown
    assert "the-value" not in shown


def test_up_offline_without_a_script_and_networks_that_are_none_are_refused(
    spec: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["up", "-f", spec, "--offline"]) == 3
    assert "Add `script: FILE`" in capsys.readouterr().err
    assert main(["up", "-f", spec, "--networks", "everything"]) == 2
    assert "everything is no /16" in capsys.readouterr().err


@pytest.mark.parametrize("words", ["a", "a=", "a=-1", "a=101", "a=many"])
def test_scale_that_cannot_be_read_is_refused(
    spec: str, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["scale", "-f", spec, words]) == 3
    assert "Write a=5" in capsys.readouterr().err.replace("researcher", "a")
