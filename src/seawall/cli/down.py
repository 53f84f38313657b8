"""`seawall down`: removes the mesh's containers, networks and secret files."""

from __future__ import annotations

import argparse
import sys

from seawall.errors import OperatorError

from . import on_docker


def configure(parser: argparse.ArgumentParser) -> None:
    """Describe the command line."""
    on_docker.add_arguments(parser)
    parser.add_argument("--volumes", action="store_true", help="and all that it knows: asks first")
    parser.add_argument("--yes", action="store_true", help="do not ask")


def run(args: argparse.Namespace) -> int:
    """Take the mesh down."""
    project = on_docker.project(args)
    if args.volumes and not args.yes and not _sure(project.name):
        print("nothing was removed")
        return 1
    project.down(volumes=args.volumes)
    kept = "" if args.volumes else "; its volumes are kept"
    print(f"{project.name}: down{kept}")
    return 0


def _sure(project: str) -> bool:
    if not sys.stdin.isatty():
        fault = "--volumes deletes runs and memory, and nobody is there to ask"
        raise OperatorError("seawall down", fault, "Add --yes")
    said = input(f"Delete every run and all memory of {project}? Type yes: ")
    return said.strip().lower() == "yes"
