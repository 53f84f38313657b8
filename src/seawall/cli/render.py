"""`seawall render compose -o DIR`: a project that runs where Seawall is not installed."""

from __future__ import annotations

import argparse
from pathlib import Path

from . import on_docker


def configure(parser: argparse.ArgumentParser) -> None:
    """Describe the command line."""
    on_docker.add_arguments(parser)
    on_docker.add_choices(parser)
    parser.add_argument("target", choices=["compose"], help="what to render for")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="DIR",
                        help="a new or empty folder, or one that was rendered before")  # fmt: skip


def run(args: argparse.Namespace) -> int:
    """Write the project."""
    engine = on_docker.engine(args)
    engine.lay(args.output, on_docker.options(args))
    print(f"{args.output}: written. {args.output}/README.md says what to do there.")
    return 0
