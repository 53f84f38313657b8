"""`seawall ps`: what runs, and how it is."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from . import on_docker

if TYPE_CHECKING:
    from seawall.engine.compose import ComposeEngine
    from seawall.engine.project import Container

WATCH_SECONDS = 2.0
STYLES = {"ready": "green", "running": "green", "starting": "yellow", "created": "yellow"}
SHOWN = ("service", "replica", "state", "since", "image", "id")


def configure(parser: argparse.ArgumentParser) -> None:
    """Describe the command line."""
    on_docker.add_arguments(parser)
    parser.add_argument("--watch", action="store_true", help="show it anew every two seconds")
    parser.add_argument("--json", action="store_true", help="print one JSON list of containers")


def run(args: argparse.Namespace) -> int:
    """Show the mesh's services and replicas; 1 when there are none."""
    engine = on_docker.engine(args)
    found = engine.containers()
    if args.json:
        print(json.dumps([{key: asdict(c)[key] for key in SHOWN} for c in found]))
        return 0 if found else 1
    from rich.console import Console
    from rich.live import Live

    console = Console(highlight=False)
    if not args.watch:
        console.print(_table(engine, found))
        return 0 if found else 1
    with Live(_table(engine, found), console=console) as live:
        while True:
            time.sleep(WATCH_SECONDS)
            live.update(_table(engine, engine.containers()))


def summary(
    found: Sequence[Container], wanted: Mapping[str, int]
) -> list[tuple[str, str, str, str]]:
    """Service, how many, state, since; a line for each state that a service's replicas are in."""
    rows = []
    for name in sorted({*wanted, *(c.service for c in found)}):
        own = [c for c in found if c.service == name]
        most = wanted.get(name, 0)
        if not own and most:
            rows.append((name, f"0 of {most}", "missing", ""))
        for state in sorted({c.state for c in own}):
            some = [c for c in own if c.state == state]
            rows.append((name, f"{len(some)} of {max(most, len(own))}", state, some[0].since))
    return rows


def _table(engine: ComposeEngine, found: Sequence[Container]) -> Any:
    from rich.text import Text

    from .screen import table

    if not found:
        return f"{engine.name} does not run here; `seawall up` starts it"
    made = table("service", "replicas", "state", "since", overflow="ellipsis")
    for name, count, state, since in summary(found, engine.replicas()):
        made.add_row(name, count, Text(state, style=STYLES.get(state, "red")), since)
    return made
