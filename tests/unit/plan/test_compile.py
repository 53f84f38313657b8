"""A plan is pure and ordered: the same bytes for any key order, links for what is granted."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from seawall.errors import SpecError
from seawall.plan.compile import compile_plan
from seawall.plan.controls import REQUIRED
from seawall.plan.model import Plan
from seawall.spec import sources
from seawall.spec.load import load
from seawall.wire.profiles import AgentProfile, MemoryTool, SandboxTool

PARTS = (
    "seawall: 1\n",
    "name: mesh\n",
    "main: lead\n",
    'defaults: {model: "anthropic:claude-sonnet-4-5"}\n',
    "budgets: {run: {usd: 2, time: 10m}, day: {usd: 50}}\n",
    """agents:
  lead: {description: Leads., instructions: Lead., delegates: [worker, code]}
  worker:
    description: Works.
    replicas: 3
    tools: [box, memory/recall, memory/remember]
    model: local
    egress: [{host: api.example.com, auth: {query: k, secret: API_KEY}}]
  code: {entry: "pkg.mod:name", connects: [db]}
""",
    """tools:
  memory: {memory: {writers: [worker]}}
  box: {sandbox: python, timeout: 30s, limits: {memory: 256MiB}}
""",
    """models:
  local:
    model: openai:llama3
    base_url: http://localhost:11434/v1
    prices: {input: 0, output: 1.5}
""",
    "services: {db: 'db.example:5432'}\n",
)


def plan_of(folder: Path, *parts: str, env: str | None = None) -> Plan:
    (folder / "pkg").mkdir(exist_ok=True)
    (folder / "pkg" / "mod.py").write_text("name = 1\n")
    (folder / "seawall.yaml").write_text("".join(parts or PARTS))
    spec = load(folder / "seawall.yaml", env)
    return compile_plan(spec, sources.read(spec))


def agent(plan: Plan, name: str) -> AgentProfile:
    found = next(w for w in plan.agents() if w.identity == f"agent/{name}")
    assert isinstance(found.profile, AgentProfile)
    return found.profile


def reordered(text: str) -> str:
    """The entries of a section in the opposite order."""
    head, *lines = text.splitlines(keepends=True)
    entries = []
    for line in lines:
        if line.startswith("  ") and line[2] != " ":
            entries.append("")
        entries[-1] += line
    return head + "".join(reversed(entries))


def test_the_same_bytes_for_any_order_of_keys(tmp_path: Path) -> None:
    first = plan_of(tmp_path).model_dump_json()
    for parts in itertools.islice(itertools.permutations(PARTS), 0, 100_000, 9_973):
        assert plan_of(tmp_path, *map(reordered, parts)).model_dump_json() == first


def test_a_plan_survives_its_json(tmp_path: Path) -> None:
    plan = plan_of(tmp_path)
    assert Plan.model_validate_json(plan.model_dump_json()) == plan


def test_the_digest_changes_with_the_spec_prompts_and_code_only(tmp_path: Path) -> None:
    plan = plan_of(tmp_path)
    assert plan_of(tmp_path, "# a comment\n", *PARTS).digest == plan.digest
    changed = [part.replace("Lead.", "Lead well.") for part in PARTS]
    assert plan_of(tmp_path, *changed).digest != plan.digest
    (tmp_path / "pkg" / "more.py").write_text("x = 1\n")
    assert plan_of(tmp_path).digest != plan.digest


def test_an_agent_gets_what_it_was_granted(tmp_path: Path) -> None:
    worker = agent(plan_of(tmp_path), "worker")
    assert {g.tool: g.functions for g in worker.tools} == {
        "box": ("*",),
        "memory": ("recall", "remember"),
    }
    assert worker.delegates == ()
    lead = agent(plan_of(tmp_path), "lead")
    assert [d.agent for d in lead.delegates] == ["worker", "code"]
    assert lead.tools == ()


def test_the_bridge_and_the_links_say_the_same_as_the_grants(tmp_path: Path) -> None:
    plan = plan_of(tmp_path)
    granted = {(b.tool, who): f for b in plan.bridges() for who, f in b.grants.items()}
    linked = {
        (link.target.removeprefix("tool/"), link.identity): link.functions
        for link in plan.links
        if link.protocol == "mcp"
    }
    assert (
        granted
        == linked
        == {
            ("box", "worker"): ("*",),
            ("memory", "worker"): ("recall", "remember"),
        }
    )


def test_an_agent_reaches_the_keeper_its_tools_and_named_hosts_only(tmp_path: Path) -> None:
    plan = plan_of(tmp_path)
    reach = {link.target for link in plan.links if link.source == "agent/worker"}
    assert reach == {
        *("keeper", "tool/box", "tool/memory", "outside/localhost", "outside/api.example.com"),
    }
    assert not [link for link in plan.links if link.source == "tool/box"]
    assert {k.source for k in plan.links if k.target == "broker"} == {"keeper"}
    assert {k.source for k in plan.links if k.target == "service/db"} == {"agent/code"}


def test_keys_come_by_convention_and_a_server_of_ones_own_needs_none(tmp_path: Path) -> None:
    plan = plan_of(tmp_path)
    assert agent(plan, "lead").model.secret == "ANTHROPIC_API_KEY"
    assert agent(plan, "worker").model.secret is None
    assert {s.name: (s.env, s.readers) for s in plan.secrets} == {
        "ANTHROPIC_API_KEY": (
            "ANTHROPIC_API_KEY",
            ("gateway of agent/code", "gateway of agent/lead"),
        ),
        "API_KEY": ("API_KEY", ("gateway of agent/worker",)),
    }


def test_prices_and_budgets_become_micro_dollars(tmp_path: Path) -> None:
    plan = plan_of(tmp_path)
    assert agent(plan, "worker").model.usd_micros_per_mtok_input == 0
    assert agent(plan, "worker").model.usd_micros_per_mtok_output == 1_500_000
    assert plan.policy.run.usd_micros == 2_000_000
    assert plan.policy.run.seconds == 600
    assert plan.policy.day.usd_micros == 50_000_000
    assert plan.policy.delegates == {"code": (), "lead": ("worker", "code"), "worker": ()}


def test_tools_get_their_limits(tmp_path: Path) -> None:
    sources_by_tool = {b.tool: b.source for b in plan_of(tmp_path).bridges()}
    assert sources_by_tool["box"] == SandboxTool(
        language="python", memory_bytes_max=256 * 2**20, run_seconds_max=30
    )
    assert sources_by_tool["memory"] == MemoryTool(readers=("*",), writers=("worker",))
    box = next(w for w in plan_of(tmp_path).workloads if w.identity == "tool/box")
    assert box.recycle == "each_session"
    assert box.limits.memory_bytes == 256 * 2**20


def test_every_workload_has_a_user_of_its_own_that_neighbours_do_not_change(tmp_path: Path) -> None:
    before = {w.identity: w.uid for w in plan_of(tmp_path).workloads}
    assert len(set(before.values())) == len(before)
    assert all(uid >= 20_000 for uid in before.values())
    parts = [p.replace("  worker:\n", "  another: {}\n  worker:\n") for p in PARTS]
    after = {w.identity: w.uid for w in plan_of(tmp_path, *parts).workloads}
    assert {i: after[i] for i in before} == before
    assert "agent/another" in after


def test_code_agents_are_workloads_whose_profile_is_their_own(tmp_path: Path) -> None:
    plan = plan_of(tmp_path)
    code = next(w for w in plan.workloads if w.identity == "agent/code")
    assert (code.image.kind, code.image.what, code.profile) == ("entry", "pkg.mod:name", None)
    assert [f.path for f in code.files] == ["pkg"]
    assert code not in plan.agents()


def test_nothing_is_loosened_by_default(tmp_path: Path) -> None:
    plan = plan_of(tmp_path)
    assert not [w for w in plan.workloads if w.allows]
    assert not [k for k in plan.links if k.allows]
    assert not [c for c in plan.controls if c.waived or c.exempt]
    assert {c.name for c in plan.controls if c.level == "required"} == set(REQUIRED)


def test_each_loosening_shows(tmp_path: Path) -> None:
    parts = [
        p.replace("replicas: 3", "allow_writable_root: true").replace(
            "secret: API_KEY}", "secret: API_KEY}, allow_private_addresses: true"
        )
        for p in PARTS
    ]
    plan = plan_of(tmp_path, *parts, "allow_missing_controls: [seccomp]\n")
    controls = {c.name: c for c in plan.controls}
    assert controls["read-only-root"].exempt == ("agent/worker",)
    assert controls["egress-by-name"].exempt == ("agent/worker",)
    assert controls["seccomp"].waived
    assert next(w for w in plan.workloads if w.allows).identity == "agent/worker"
    assert next(k for k in plan.links if k.allows).target == "outside/api.example.com"


def test_a_control_that_does_not_exist_cannot_be_waived(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=r"is not a required control\. Did you mean 'seccomp'"):
        plan_of(tmp_path, *PARTS, "allow_missing_controls: [secomp]\n")


def test_a_prompt_that_is_not_text_is_a_fault(tmp_path: Path) -> None:
    (tmp_path / "lead.md").write_bytes(b"\xff\xff")
    with pytest.raises(SpecError, match="is not valid UTF-8"):
        plan_of(tmp_path, *(p.replace("Lead., d", "lead.md, d") for p in PARTS))
