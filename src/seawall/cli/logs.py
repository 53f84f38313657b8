"""`seawall logs`: what the containers say. An agent's or tool's name is enough."""

from __future__ import annotations

import argparse
from collections.abc import Collection

from seawall.errors import OperatorError

from . import on_docker


def configure(parser: argparse.ArgumentParser) -> None:
    """Describe the command line."""
    on_docker.add_arguments(parser, short=False)
    parser.add_argument("service", nargs="*", help="an agent, a tool or a service; all by default")
    parser.add_argument("-f", "--follow", action="store_true", help="go on as they speak")
    parser.add_argument("--tail", default="200", metavar="N", help="of each; 200 by default")


def run(args: argparse.Namespace) -> int:
    """Print logs until they end, or for ever."""
    project = on_docker.project(args)
    known = {c.service for c in project.required()}
    names = [service(known, name) for name in args.service]
    for line in project.logs(names, tail=args.tail, follow=args.follow):
        print(line, flush=True)
    return 0


def service(known: Collection[str], name: str) -> str:
    """The service of an agent, a tool or a service by its own name. Raises OperatorError."""
    for candidate in (name, f"agent-{name}", f"tool-{name}", name.replace("/", "-")):
        if candidate in known:
            return candidate
    there = ", ".join(sorted(known))
    raise OperatorError(name, "no agent, tool or service has that name", f"There are: {there}")
