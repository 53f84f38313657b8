"""A loosening takes an `allow_…` key, shows in the plan, and touches that workload alone."""

from __future__ import annotations

from ipaddress import IPv4Network
from pathlib import Path

import yaml

from seawall.engine import package
from seawall.plan.compile import compile_plan
from seawall.plan.model import Plan
from seawall.render.compose import ComposeOptions, render
from seawall.spec import sources
from seawall.spec.load import load

SPEC = """\
seawall: 1
name: m
main: a
defaults: {{model: "anthropic:claude-sonnet-4-5"}}
agents: {{a: {{instructions: x{loose}}}, b: {{instructions: x}}}}
"""


def plan_of(folder: Path, loose: str) -> Plan:
    (folder / "seawall.yaml").write_text(SPEC.format(loose=loose))
    spec = load(folder / "seawall.yaml")
    return compile_plan(spec, sources.read(spec))


def test_allow_writable_root_loosens_one_service_and_shows_in_the_plan(tmp_path: Path) -> None:
    options = ComposeOptions(project="m", within=IPv4Network("10.99.0.0/16"))

    def writable(plan: Plan) -> set[str]:
        text = render(plan, options, package.code()).files["compose.yaml"]
        services = yaml.safe_load(text)["services"]
        return {name for name, service in services.items() if not service["read_only"]}

    loose = plan_of(tmp_path, ", allow_writable_root: true")
    assert writable(loose) == {"agent-a"}
    assert next(c for c in loose.controls if c.name == "read-only-root").exempt == ("agent/a",)
    assert writable(plan_of(tmp_path, "")) == set()
