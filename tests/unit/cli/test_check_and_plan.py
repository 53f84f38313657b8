"""`seawall check` and `seawall plan`, through the command line's own entry point."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from seawall.cli.main import main
from seawall.plan.model import Plan

GOOD = """\
seawall: 1
name: mesh
main: a
defaults: {model: "anthropic:claude-sonnet-4-5"}
agents: {a: {instructions: Answer., tools: [t]}}
tools:
  t:
    command: [server]
    env: {TOKEN: plain-secret}
"""


@pytest.fixture
def spec(tmp_path: Path) -> Path:
    path = tmp_path / "seawall.yaml"
    path.write_text(GOOD)
    (tmp_path / "seawall.prod.yaml").write_text("agents:\n  a: {replicas: 4}\n")
    return path


def test_check_of_a_good_spec_is_0(spec: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "-f", str(spec)]) == 0
    assert capsys.readouterr().out == f"{spec}: 1 agent, 1 tool: no fault.\n"


def test_check_lists_every_fault_and_is_2(spec: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spec.write_text(GOOD.replace("main: a", "main: b").replace("[t]", "[u]"))
    assert main(["check", "-f", str(spec)]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert len(err.splitlines()) == 2
    assert main(["check", "-f", str(spec), "--json"]) == 2
    told = json.loads(capsys.readouterr().out)
    assert (told["ok"], len(told["faults"])) == (False, 2)


def test_check_refuses_an_unknown_control(spec: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spec.write_text(GOOD + "allow_missing_controls: [nothing]\n")
    assert main(["check", "-f", str(spec)]) == 2
    assert "'nothing' is not a required control" in capsys.readouterr().err


def test_check_of_a_missing_file_or_environment_is_2(spec: Path) -> None:
    assert main(["check", "-f", str(spec.with_name("none.yaml"))]) == 2
    assert main(["check", "-f", str(spec), "--env", "dev"]) == 2


def test_check_prints_the_schema(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "--schema"]) == 0
    assert json.loads(capsys.readouterr().out)["title"] == "seawall.yaml"


def test_plan_as_json_is_the_whole_plan(spec: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", "-f", str(spec), "--json"]) == 0
    plan = Plan.model_validate_json(capsys.readouterr().out)
    assert plan.name == "mesh"


def test_plan_shows_where_values_of_an_environment_come_from(
    spec: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.chdir(spec.parent)
    assert main(["plan", "--env", "prod"]) == 0
    out = capsys.readouterr().out
    line = next(line for line in out.splitlines() if "agents/a/replicas" in line)
    assert line.split() == ["agents/a/replicas", "4", "seawall.prod.yaml:2"]
    assert "agents/a/instructions" not in out


def test_plan_shows_every_origin_but_no_variable_of_a_tool(
    spec: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    assert main(["plan", "-f", str(spec), "--origins"]) == 0
    out = capsys.readouterr().out
    assert "tools/t/env/TOKEN" in out
    assert "plain-secret" not in out


def test_plan_shows_what_the_spec_loosens(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    spec = tmp_path / "seawall.yaml"
    spec.write_text("""\
seawall: 1
name: mesh
main: a
defaults: {model: local}
models:
  local: {model: "openai:own", base_url: "http://models.example.com/v1", allow_missing_usage: true}
agents:
  a: {instructions: Answer., allow_writable_root: true}
""")
    assert main(["plan", "-f", str(spec)]) == 0
    loosened = capsys.readouterr().out.partition("Loosened by the spec")[2]
    assert "allow_missing_usage" in loosened
    assert "agent/a to openai:own" in loosened
    assert "allow_writable_root" in loosened
