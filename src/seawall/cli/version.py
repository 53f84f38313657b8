"""`seawall version`: which Seawall this is."""

from __future__ import annotations

import argparse


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("--json", action="store_true", help="print it as JSON")


def run(args: argparse.Namespace) -> int:
    """Print name and version."""
    print(f'{{"seawall": "{number()}"}}' if args.json else text())
    return 0


def text() -> str:
    """`seawall 0.1.0`."""
    return f"seawall {number()}"


def number() -> str:
    """`0.1.0`, from the installed package."""
    from importlib.metadata import version

    return version("seawall")
