"""A mesh of forty agents and forty tools: its networks fit an engine with default settings.

The containers only sleep: what is tried is the number of networks and how fast they come.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import harness
import yaml

from seawall.engine import addresses, package
from seawall.engine.docker import Docker
from seawall.plan.compile import compile_plan
from seawall.render.compose import ComposeOptions, render
from seawall.spec import sources
from seawall.spec.load import load

COUNT = 40


def test_forty_agents_and_forty_tools_come_up(engine: None, tmp_path: Path) -> None:
    agents = "".join(f"  a{n}: {{instructions: x, tools: [t{n}]}}\n" for n in range(COUNT))
    tools = "".join(f"  t{n}: {{functions: t.py}}\n" for n in range(COUNT))
    head = 'seawall: 1\nname: many\nmain: a0\ndefaults: {model: "anthropic:claude-sonnet-4-5"}\n'
    (tmp_path / "seawall.yaml").write_text(f"{head}agents:\n{agents}tools:\n{tools}")
    (tmp_path / "t.py").write_text("from seawall import tool\n@tool\ndef f(x: str) -> str: ...\n")
    spec = load(tmp_path / "seawall.yaml")
    project = f"seawall-many-{os.getpid()}"
    options = ComposeOptions(project=project, within=addresses.free(project, Docker()))
    made = render(compile_plan(spec, sources.read(spec)), options, package.code()).files
    document = yaml.safe_load(made["compose.yaml"])
    for service in document["services"].values():
        del service["build"]
        service.pop("volumes", None)
        service |= {"image": harness.BASE_IMAGE, "command": ["sleep", "600"]}
    (tmp_path / "compose.yaml").write_text(json.dumps(document))
    (tmp_path / "seccomp.json").write_text(made["seccomp.json"])
    compose = ("compose", "--project-name", project, "--file", str(tmp_path / "compose.yaml"))
    try:
        harness.docker(*compose, "up", "--detach", timeout=300)
        running = harness.docker(*compose, "ps", "--quiet").stdout.split()
        assert len(running) == len(document["services"]) == 3 * COUNT + 3
        assert len(document["networks"]) == 2 * COUNT + 4
    finally:
        harness.docker(*compose, "down", "--volumes", "--timeout", "0", timeout=300)
