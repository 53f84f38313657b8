"""`seawall plan`: what a spec means. For people as tables, with `--json` the whole plan."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from . import on_docker

if TYPE_CHECKING:
    from rich.console import Console

    from seawall.plan.model import Link, Plan, Workload
    from seawall.spec.model import Spec

DIGEST_SHOWN = 12
VALUE_SHOWN = 60


def configure(parser: argparse.ArgumentParser) -> None:
    """Describe the command line."""
    on_docker.add_arguments(parser)
    on_docker.add_choices(parser)
    parser.add_argument(
        "--running",
        action="store_true",
        help="show only what `up` would change of what runs on Docker, and why",
    )
    parser.add_argument("--origins", action="store_true", help="show which line sets each value")
    parser.add_argument("--json", action="store_true", help="print the whole plan as JSON")


def run(args: argparse.Namespace) -> int:
    """Compile the plan and print it."""
    if args.running:
        return _running(args)
    from seawall.plan.compile import compile_plan
    from seawall.spec.load import load
    from seawall.spec.sources import read

    spec = load(args.file, args.env)
    plan = compile_plan(spec, read(spec))
    if args.json:
        print(plan.model_dump_json(indent=2))
        return 0
    from seawall.cli.screen import Screen

    show(plan, spec, Screen(highlight=False, markup=False), origins=args.origins)
    print("\n`seawall plan --running` shows what `up` would change of what runs.")
    return 0


def _running(args: argparse.Namespace) -> int:
    """Against what runs: as it was brought up last, unless the command line says otherwise."""
    engine = on_docker.engine(args)
    state = engine.state()
    args.offline = args.offline or bool(state.get("offline"))
    args.registry = args.registry or str(state.get("registry", ""))
    changes = engine.differences(on_docker.options(args))
    if args.json:
        print(json.dumps({"name": engine.name, "changes": [asdict(c) for c in changes]}))
        return 0
    if not changes:
        print(f"{engine.name}: `up` would change nothing")
        return 0
    from seawall.cli.screen import Screen

    rows = [(c.action, c.service, c.why) for c in changes]
    console = Screen(highlight=False, markup=False)
    _table(console, f"{engine.name}: `up` would", ("", "service", "because"), rows)
    return 0


def show(plan: Plan, spec: Spec, console: Console, *, origins: bool) -> None:
    """Print the plan for a person."""
    budget = plan.policy.run
    console.print(f"{plan.name}: {plan.main} answers. Plan {plan.digest[:DIGEST_SHOWN]}")
    console.print(f"One question may spend: {_budget(budget.model_dump())}")
    console.print(f"One day may spend: {_budget(plan.policy.day.model_dump())}")
    _table(console, "Workloads", ("", "replicas", "uid", "image", "memory", "says"), [
        _workload(workload) for workload in plan.workloads
    ])  # fmt: skip
    _table(console, "Links; nothing else is reachable", ("from", "to", "over", "may"), [
        _link(plan, link) for link in plan.links
    ])  # fmt: skip
    _table(console, "Secrets, by name; values are read late", ("", "from", "given to"), [
        (s.name, (s.env and f"${s.env}") or s.file or " ".join(s.command), ", ".join(s.readers))
        for s in plan.secrets
    ])  # fmt: skip
    loosened = _loosened(plan)
    required = sum(control.level == "required" for control in plan.controls)
    console.print(f"\n{required} controls are required, {len(plan.controls) - required} preferred.")
    _table(console, "Loosened by the spec", ("what", "where"), loosened)
    _origins(console, spec, everything=origins)


def _workload(workload: Workload) -> tuple[str, ...]:
    from seawall.wire.profiles import AgentProfile

    profile = workload.profile
    says = ""
    if isinstance(profile, AgentProfile):
        says = profile.model.ref
        if profile.delegates:
            says += f", delegates to {', '.join(d.agent for d in profile.delegates)}"
    image = f"{workload.image.kind} {workload.image.what}".strip()
    memory = f"{workload.limits.memory_bytes // 1024**2} MiB"
    return (workload.identity, str(workload.replicas), str(workload.uid), image, memory, says)


def _link(plan: Plan, link: Link) -> tuple[str, ...]:
    may = ", ".join(link.functions)
    for one in plan.services:
        if link.target == f"service/{one.name}":
            may = f"{one.host}:{one.port}" + (f" on {one.network}" if one.network else "")
    if link.credential is not None:
        may = f"gateway adds {link.credential.secret}"
    return (link.source, link.target, f"{link.protocol} {link.port}", may)


def _budget(budget: dict[str, Any]) -> str:
    words = {key: value for key, value in budget.items() if value is not None}
    if "usd_micros" in words:
        words = {"usd": words.pop("usd_micros") / 1_000_000, **words}
    return ", ".join(f"{key} {value:g}" for key, value in words.items()) or "no limit"


def _loosened(plan: Plan) -> list[tuple[str, ...]]:
    found = [(f"{c.name} may be missing", "the engine") for c in plan.controls if c.waived]
    found += [(key, w.identity) for w in plan.workloads for key in w.allows]
    found += [(key, f"{k.source} to {k.target}") for k in plan.links for key in k.allows]
    found += [
        ("allow_missing_usage", f"agent/{name} to {model.provider}:{model.name}")
        for name, meter in plan.policy.meters.items()
        for model in meter.models
        if model.allow_missing_usage
    ]
    found += [(f"trusts the CAs in {ca.path}", "gateways") for ca in plan.trusted_cas]
    return [*found]


def _origins(console: Console, spec: Spec, *, everything: bool) -> None:
    """Which line set a value: all of them, or those from other files than the first."""
    from seawall.spec.faults import written

    rows = []
    for path, place in sorted(spec.home.places.items(), key=lambda item: written(item[0])):
        shown = _value_at(spec, path)
        if path and shown is not None and (everything or place.file != spec.home.file):
            rows.append((written(path), shown, str(place)))
    title = "Every value" if everything else "From other files"
    _table(console, title, ("path", "value", "set at"), rows)


def _value_at(spec: Any, path: tuple[str | int, ...]) -> str | None:
    """A simple value of the spec as text; None for mappings and lists."""
    value: Any = spec
    for part in path:
        try:
            inside = isinstance(value, dict | tuple)
            value = value.__getitem__(part) if inside else getattr(value, str(part))
        except (AttributeError, LookupError, TypeError):
            return None
    if not isinstance(value, str | int | float | None):
        return None
    if "env" in path[:-1]:
        return "(set)"  # a tool's variables: an author may have put a secret there
    text = " ".join(str(value).split())
    return text if len(text) <= VALUE_SHOWN else f"{text[: VALUE_SHOWN - 1]}…"


def _table(
    console: Console, title: str, columns: tuple[str, ...], rows: Sequence[tuple[str, ...]]
) -> None:
    if not rows:
        return
    from rich import box
    from rich.table import Table
    from rich.text import Text

    console.print(f"\n{title}")
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    console.print(table)
