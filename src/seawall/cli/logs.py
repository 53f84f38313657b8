"""`seawall logs`: what the containers say. An agent's or tool's name is enough."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from seawall.errors import OperatorError

from . import on_docker

if TYPE_CHECKING:
    from seawall.engine.compose import ComposeEngine


def configure(parser: argparse.ArgumentParser) -> None:
    """Describe the command line."""
    on_docker.add_arguments(parser)
    parser.add_argument("service", nargs="*", help="an agent, a tool or a service; all by default")
    parser.add_argument("--follow", action="store_true", help="go on as they speak")
    parser.add_argument("--tail", default="200", metavar="N", help="of each; 200 by default")


def run(args: argparse.Namespace) -> int:
    """Print logs until they end, or for ever."""
    engine = on_docker.engine(args)
    names = [service(engine, name) for name in args.service]
    follow = ["--follow"] if args.follow else []
    command = ["compose", "--project-name", engine.project, "logs", "--tail", args.tail]
    for line in engine.docker.lines(*command, *follow, *names):
        print(line, flush=True)
    return 0


def service(engine: ComposeEngine, name: str) -> str:
    """The service of an agent, a tool or a service by its own name. Raises OperatorError."""
    known = engine.services()
    for candidate in (name, f"agent-{name}", f"tool-{name}"):
        if candidate in known:
            return candidate
    there = ", ".join(sorted(known))
    raise OperatorError(name, "no agent, tool or service has that name", f"There are: {there}")
