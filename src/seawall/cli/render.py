"""`seawall render compose -o DIR`: a project that runs where Seawall is not installed."""

from __future__ import annotations

import argparse
from pathlib import Path

from . import on_docker


def configure(parser: argparse.ArgumentParser) -> None:
    """Describe the command line."""
    on_docker.add_arguments(parser)
    parser.add_argument("target", choices=["compose"], help="what to render for")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="DIR")
    parser.add_argument("--offline", action="store_true", help="models from the spec's script")
    parser.add_argument("--registry", default="", help="put before every image's name")


def run(args: argparse.Namespace) -> int:
    """Write the project."""
    from seawall.engine.compose import UpOptions

    engine = on_docker.engine(args)
    engine.lay(args.output, UpOptions(offline=args.offline, registry=args.registry))
    print(f"{args.output}: written. See {args.output}/README.md for what to do there.")
    return 0
