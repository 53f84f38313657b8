"""`seawall scale researcher=5`: more or fewer replicas of an agent, until the next `up`."""

from __future__ import annotations

import argparse

from seawall.errors import OperatorError

from . import on_docker
from .logs import service

REPLICAS_MAX = 100


def configure(parser: argparse.ArgumentParser) -> None:
    """Describe the command line."""
    on_docker.add_arguments(parser)
    parser.add_argument("agent", metavar="AGENT=N", help="how many replicas, 0 to 100")


def run(args: argparse.Namespace) -> int:
    """Scale, and return when the new ones can take work."""
    name, equals, number = args.agent.partition("=")
    if not equals or not number.isdecimal() or int(number) > REPLICAS_MAX:
        fault = f"cannot be read: {args.agent!r}"
        raise OperatorError("seawall scale", fault, f"Write researcher=5; 0 to {REPLICAS_MAX}")
    engine = on_docker.engine(args)
    target = service(engine.services(), name)
    if not target.startswith("agent-"):
        raise OperatorError("seawall scale", f"{name} is no agent", "Only agents can be scaled")
    engine.scale(target, int(number))
    file = engine.replicas().get(target)
    until = f"; the next `up` returns to seawall.yaml's {file}" if file != int(number) else ""
    print(f"{name}: {number} replicas ready{until}")
    return 0
