"""`seawall doctor`: whether this machine's Docker can hold a mesh, and how to mend it."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from seawall.engine.checks import Check

EXIT_FAULT = 3
SIGNS = {"ok": "ok     ", "fault": "FAULT  ", "unknown": "unknown", "absent": "absent "}


def configure(parser: argparse.ArgumentParser) -> None:
    """Describe the command line."""
    parser.add_argument(
        "-f",
        "--file",
        type=Path,
        default=Path("seawall.yaml"),
        help="the spec, for the controls that it waives; need not be there",
    )
    parser.add_argument("--env", help="lay seawall.ENV.yaml over the spec")
    parser.add_argument("--context", help="a Docker context: another engine than this machine's")
    parser.add_argument("--json", action="store_true", help="print one JSON list of checks")


def run(args: argparse.Namespace) -> int:
    """Look, and say; 3 when a mesh would not start here."""
    from seawall.engine import checks
    from seawall.engine.docker import Docker

    waived = _waived(args)
    docker = Docker(args.context)
    found = checks.judge(checks.gather(docker, image=_any_image(docker)))
    if args.json:
        print(json.dumps([{**asdict(c), "waived": c.is_waived(waived)} for c in found]))
    else:
        _show(found, waived)
    return EXIT_FAULT if any(check.stops(waived) for check in found) else 0


def _waived(args: argparse.Namespace) -> set[str]:
    if not args.file.is_file():
        return set()
    from seawall.spec.load import load

    return set(load(args.file, args.env).allow_missing_controls)


def _any_image(docker: object) -> str | None:
    """An image of some mesh's, to look from where the engine is elsewhere."""
    from seawall.engine.docker import Docker

    assert isinstance(docker, Docker)  # noqa: S101 - imported late, for a quick --help
    label = "label=org.opencontainers.image.vendor=Seawall"
    found = docker.ask("image", "ls", "--quiet", "--filter", label).split()
    return found[0] if found else None


def _show(found: Sequence[Check], waived: set[str]) -> None:
    for check in found:
        allowed = " (waived by the spec)" if check.is_waived(waived) else ""
        print(f"{SIGNS[check.state]} {check.name}: {check.found}{allowed}")
        if check.state != "ok":
            print(f"        {check.remedy}")
