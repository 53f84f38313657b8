"""`seawall version`: which Seawall this is."""

from __future__ import annotations

import argparse


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare no arguments: there is nothing to choose."""
    parser.set_defaults()


def run(args: argparse.Namespace) -> int:  # noqa: ARG001 - every command's signature
    """Print name and version."""
    print(text())
    return 0


def text() -> str:
    """`seawall 0.1.0`."""
    from importlib.metadata import version

    return f"seawall {version('seawall')}"
