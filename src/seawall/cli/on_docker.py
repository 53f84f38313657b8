"""What the commands for a mesh on Docker share: their arguments, and the engine these name."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from seawall.engine.compose import ComposeEngine


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Which mesh, and on which engine."""
    parser.add_argument("-f", "--file", type=Path, default=Path("seawall.yaml"), help="the spec")
    parser.add_argument("--env", help="lay seawall.ENV.yaml over the spec")
    parser.add_argument("--name", help="run it under another name, beside the first")
    parser.add_argument("--context", help="a Docker context: another engine than this machine's")


def engine(args: argparse.Namespace) -> ComposeEngine:
    """The engine of the spec's mesh. Raises SpecError."""
    from seawall.engine.compose import ComposeEngine
    from seawall.engine.docker import Docker
    from seawall.plan.compile import compile_plan
    from seawall.spec.load import load
    from seawall.spec.sources import read

    spec = load(args.file, args.env)
    plan = compile_plan(spec, read(spec))
    return ComposeEngine(
        plan=plan,
        spec_folder=args.file.resolve().parent,
        project=f"seawall-{args.name or plan.name}",
        docker=Docker(args.context),
        ca_bundle=spec.build.ca_bundle,
        script=spec.script,
        door_port=spec.door.port,
        door_address=spec.door.address,
    )


def teller(*, quiet: bool = False) -> Callable[[str], None]:
    """Says on stderr what is going on: one line that changes on a terminal, else a line each."""
    said = ""

    def tell(text: str) -> None:
        nonlocal said
        if quiet or text == said:
            return
        said = text
        if sys.stderr.isatty():
            print(f"\r\033[K  {text[:76]} …", end="\r", file=sys.stderr, flush=True)
        elif not text.startswith("building ["):
            print(f"  {text}", file=sys.stderr, flush=True)

    return tell


def clear() -> None:
    """Take the changing line away."""
    if sys.stderr.isatty():
        print("\r\033[K", end="", file=sys.stderr, flush=True)
