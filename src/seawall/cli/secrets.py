"""`seawall secrets`: which there are, from where each comes, who is given it. Never a value."""

from __future__ import annotations

import argparse
import json
from typing import TYPE_CHECKING, Any

from seawall.errors import OperatorError

from . import on_docker

if TYPE_CHECKING:
    from seawall.engine.compose import ComposeEngine
    from seawall.plan.model import Secret

EXIT_MISSING = 3


def configure(parser: argparse.ArgumentParser) -> None:
    """Describe the command line."""
    on_docker.add_arguments(parser)
    parser.add_argument(
        "--refresh",
        action="store_true",
        help="give the running mesh the values of now, without a restart",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON list")


def run(args: argparse.Namespace) -> int:
    """Show each secret; 3 when one is missing."""
    engine = on_docker.engine(args)
    if args.refresh:
        engine.refresh_secrets()
    rows = [_row(engine, secret) for secret in engine.plan.secrets]
    if args.json:
        print(json.dumps(rows))
    else:
        _show(rows)
    if args.refresh:
        print(f"{engine.name}: the running mesh has the values of now")
    return EXIT_MISSING if any(row["missing"] for row in rows) else 0


def _row(engine: ComposeEngine, secret: Secret) -> dict[str, Any]:
    from seawall.engine import secrets

    try:
        secrets.resolve(secret, engine.spec_folder)
        missing = ""
    except OperatorError as error:
        missing = error.fault
    return {"name": secret.name, "from": _source(secret), "given_to": list(secret.readers),
            "on_change": secret.on_change, "missing": missing}  # fmt: skip


def _source(secret: Secret) -> str:
    if secret.env:
        return f"${secret.env}"
    return f"file {secret.file}" if secret.file else f"command {secret.command[0]}"


def _show(rows: list[dict[str, Any]]) -> None:
    from rich.console import Console
    from rich.text import Text

    from .screen import table

    if not rows:
        print("the spec needs no secret")
        return
    made = table("secret", "from", "given to", "now")
    for row in rows:
        now = Text(f"missing: {row['missing']}", "red") if row["missing"] else Text("there")
        given = "\n".join(row["given_to"]) or "nobody"
        made.add_row(Text(row["name"]), Text(row["from"]), Text(given), now)
    Console(highlight=False).print(made)
