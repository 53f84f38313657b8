"""`seawall logs`: what the containers say. An agent's or tool's name is enough.

With `--egress`: what was asked of the outside, and what was refused, at all gateways.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Collection
from typing import TYPE_CHECKING

from seawall.errors import OperatorError, SpecError

from . import egress_log, on_docker

if TYPE_CHECKING:
    from seawall.engine.project import Project


def configure(parser: argparse.ArgumentParser) -> None:
    """Describe the command line."""
    on_docker.add_arguments(parser, short=False)
    parser.add_argument("service", nargs="*", help="an agent, a tool or a service; all by default")
    parser.add_argument("-f", "--follow", action="store_true", help="go on as they speak")
    parser.add_argument("--tail", default="200", metavar="N", help="of each; 200 by default")
    parser.add_argument("--egress", action="store_true",
                        help="requests to the outside, a line each, at the gateways")  # fmt: skip
    parser.add_argument("--denied", action="store_true", help="of these, what was refused")
    parser.add_argument("--json", action="store_true", help="of these, one JSON object a line")


def run(args: argparse.Namespace) -> int:
    """Print logs until they end, or for ever."""
    if (args.denied or args.json) and not args.egress:
        word = "--denied" if args.denied else "--json"
        raise SpecError([f"{word}: is for --egress. Write `seawall logs --egress {word}`."])
    project = on_docker.project(args)
    known = {c.service for c in project.required()}
    if args.egress:
        return _egress(project, known, args)
    names = [service(known, name) for name in args.service]
    for line in project.logs(names, tail=args.tail, follow=args.follow):
        print(line, flush=True)
    return 0


def _egress(project: Project, known: Collection[str], args: argparse.Namespace) -> int:
    """One line for each request to the outside, oldest first."""
    gateways = {name for name in known if name.startswith(egress_log.GATEWAY)}
    names = sorted({service(gateways, f"{egress_log.GATEWAY}{name}") for name in args.service}
                   if args.service else gateways)  # fmt: skip
    said = project.logs(names, tail=args.tail, follow=args.follow, prefix=False) if names else ()
    lines = egress_log.read(said)
    if not args.follow:
        lines = iter(sorted(lines, key=lambda line: str(line["time"])))
    if not args.json:
        print(egress_log.head(), flush=True)
    for line in lines:
        if line["denied"] or not args.denied:
            print(json.dumps(line) if args.json else egress_log.row(line), flush=True)
    return 0


def service(known: Collection[str], name: str) -> str:
    """The service of an agent, a tool or a service by its own name. Raises OperatorError."""
    own = name.removeprefix(egress_log.GATEWAY)
    gateway = egress_log.GATEWAY if own != name else ""
    forms = (own, f"agent-{own}", f"tool-{own}", own.replace("/", "-"))
    for candidate in (name, *(f"{gateway}{form}" for form in forms)):
        if candidate in known:
            return candidate
    there = ", ".join(sorted(known))
    raise OperatorError(name, "no agent, tool or service has that name", f"There are: {there}")
