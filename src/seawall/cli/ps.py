"""`seawall ps`: what runs, and how it is."""

from __future__ import annotations

import argparse
import json
import time
from typing import Any

from . import on_docker

WATCH_SECONDS = 2.0
COLUMNS = ("Service", "Name", "State", "Health", "Status")


def configure(parser: argparse.ArgumentParser) -> None:
    """Describe the command line."""
    on_docker.add_arguments(parser)
    parser.add_argument("--watch", action="store_true", help="show it anew every two seconds")
    parser.add_argument("--json", action="store_true", help="print one JSON list")


def run(args: argparse.Namespace) -> int:
    """Show the mesh's containers; 1 when there are none."""
    engine = on_docker.engine(args)
    rows = engine.ps()
    if args.json:
        print(json.dumps([{column.lower(): row.get(column) for column in COLUMNS} for row in rows]))
        return 0 if rows else 1
    from rich.console import Console
    from rich.live import Live

    console = Console()
    if not args.watch:
        console.print(_table(engine.project, rows))
        return 0 if rows else 1
    with Live(_table(engine.project, rows), console=console) as live:
        while True:
            time.sleep(WATCH_SECONDS)
            live.update(_table(engine.project, engine.ps()))


def _table(project: str, rows: list[dict[str, Any]]) -> Any:
    from rich.table import Table

    if not rows:
        return f"{project} does not run here; `seawall up` starts it"
    table = Table(box=None, pad_edge=False, header_style="bold")
    for head in ("service", "container", "state", "health", "since"):
        table.add_column(head)
    styles = {"healthy": "green", "unhealthy": "red", "starting": "yellow"}
    for row in sorted(rows, key=lambda r: str(r.get("Name"))):
        values = [str(row.get(column, "")) for column in COLUMNS]
        style = styles.get(values[3], "" if values[2] == "running" else "red")
        table.add_row(*values[:3], f"[{style}]{values[3]}[/]" if style else values[3], values[4])
    return table
