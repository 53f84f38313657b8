"""`seawall up`: builds what is missing, starts the mesh, returns when every agent can take work."""

from __future__ import annotations

import argparse
import time

from . import on_docker


def configure(parser: argparse.ArgumentParser) -> None:
    """Describe the command line."""
    on_docker.add_arguments(parser)
    parser.add_argument("--offline", action="store_true", help="models from the spec's script")
    parser.add_argument("--no-build", action="store_true", help="use images that are there")


def run(args: argparse.Namespace) -> int:
    """Bring the mesh up."""
    from seawall.engine.compose import UpOptions

    began = time.monotonic()
    engine = on_docker.engine(args)
    try:
        engine.up(UpOptions(offline=args.offline, build=not args.no_build, tell=on_docker.teller()))
    finally:
        on_docker.clear()
    url, _ = engine.door()
    count = sum(row.get("State") == "running" for row in engine.ps())
    took = time.monotonic() - began
    print(f"{engine.project}: {count} containers ready in {took:.1f} s; the door is {url}")
    return 0
