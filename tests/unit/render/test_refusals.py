"""What containers cannot be made of is refused with a reason."""

from __future__ import annotations

from ipaddress import IPv4Network
from pathlib import Path

import pytest

from seawall.errors import OperatorError
from seawall.plan.compile import compile_plan
from seawall.render.compose import ComposeOptions, render
from seawall.render.dockerfile import lock
from seawall.render.refusals import pins, refuse
from seawall.spec import sources
from seawall.spec.load import load

HEAD = """\
seawall: 1
name: mesh
main: lead
defaults: {model: "anthropic:claude-sonnet-4-5"}
agents:
  lead: {instructions: Lead.}
"""
TOOL = "from seawall import tool\n@tool\ndef a(t: str) -> str: ...\n"


def rendering(folder: Path, text: str, *, offline: bool = False) -> None:
    (folder / "seawall.yaml").write_text(text)
    (folder / "t.py").write_text(TOOL)
    spec = load(folder / "seawall.yaml")
    plan = compile_plan(spec, sources.read(spec))
    render(plan, ComposeOptions("p", IPv4Network("100.64.0.0/16"), offline=offline), {})


def test_offline_without_a_script(tmp_path: Path) -> None:
    with pytest.raises(OperatorError, match="needs a script"):
        rendering(tmp_path, HEAD, offline=True)


@pytest.mark.parametrize("tool", ["npm: a@1.2.3", "pypi: a==1.2.3", "image: a"])
def test_kinds_that_have_no_container_yet(tmp_path: Path, tool: str) -> None:
    with pytest.raises(OperatorError, match="cannot be run in a container yet"):
        rendering(tmp_path, f"{HEAD}tools: {{x: {{{tool}}}}}\n")


@pytest.mark.parametrize(
    ("tool", "service", "words"),
    [
        ("url: 'http://localhost:9000/mcp'", "db:1", "tool/x: `localhost` is the container itself"),
        ("functions: t.py, connects: [db]", "localhost:5432", "services/db: `localhost` already"),
        ("functions: t.py, connects: [db]", "127.0.0.1:5432", "services/db: `127.0.0.1` already"),
        ("functions: t.py, connects: [db]", "gateway:5432", "services/db: `gateway` already means"),
    ],
)
def test_names_that_a_container_takes_for_something_else(
    tmp_path: Path, tool: str, service: str, words: str
) -> None:
    with pytest.raises(OperatorError) as caught:
        rendering(tmp_path, f"{HEAD}tools: {{x: {{{tool}}}}}\nservices: {{db: '{service}'}}\n")
    assert words in str(caught.value)
    assert "Say host.docker.internal" in str(caught.value)


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "ollama.localhost"])
def test_a_model_on_this_machine_by_a_name_that_would_be_the_container(
    tmp_path: Path, host: str
) -> None:
    model = f"models: {{llama: {{model: 'openai:llama', base_url: 'http://{host}:11434/v1'}}}}\n"
    text = HEAD.replace('"anthropic:claude-sonnet-4-5"', "llama") + model
    with pytest.raises(OperatorError) as caught:
        rendering(tmp_path, text)
    assert str(caught.value) == (
        f"agent/lead: openai:llama is at {host}, which inside a container is the container itself. "
        "Say host.docker.internal in its `base_url` for the machine that Docker runs on."
    )
    (tmp_path / "seawall.yaml").write_text(f"{text}script: t.py\n")
    spec = load(tmp_path / "seawall.yaml")
    refuse(compile_plan(spec, sources.read(spec)), offline=True)


def test_a_package_in_another_version_than_seawalls_own(tmp_path: Path) -> None:
    version = pins(lock("bridge"))["pydantic"]
    (tmp_path / "r.txt").write_text("Pydantic==1.0\nsix==1.17.0\n")
    text = "tools: {x: {functions: t.py, requirements: r.txt, allow_unhashed_requirements: true}}\n"
    with pytest.raises(OperatorError) as caught:
        rendering(tmp_path, HEAD + text)
    assert str(caught.value) == (
        f"tool/x: r.txt: pydantic is {version} in the image, not 1.0. "
        "Pin that version: in the image Seawall's own packages come first."
    )
