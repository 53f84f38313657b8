"""What the commands for a mesh on Docker share: their arguments, and the engine these name."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from seawall.errors import SpecError

if TYPE_CHECKING:
    from seawall.engine.compose import ComposeEngine, UpOptions
    from seawall.engine.project import Project

WIDTH = 76


def add_arguments(parser: argparse.ArgumentParser, *, short: bool = True) -> None:
    """Which mesh, and on which engine. Not `short`: the command has another use for `-f`."""
    names = ("-f", "--file") if short else ("--file",)
    parser.add_argument(*names, type=Path, default=Path("seawall.yaml"), help="the spec")
    parser.add_argument("--env", help="lay seawall.ENV.yaml over the spec")
    parser.add_argument("--name", help="run it under another name, beside the first")
    parser.add_argument("--context", help="a Docker context: another engine than this machine's")


def add_choices(parser: argparse.ArgumentParser) -> None:
    """How the mesh is rendered; `up`, `build`, `plan` and `render` must agree on it."""
    parser.add_argument("--offline", action="store_true", help="models from the spec's script")
    parser.add_argument("--registry", default="", metavar="HOST[/PATH]",
                        help="where images are pushed to and pulled from")  # fmt: skip
    parser.add_argument("--networks", metavar="CIDR",
                        help="the /16 for the mesh's networks; a free one by default")  # fmt: skip


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
        name=_project(args.name or plan.name),
        spec_folder=args.file.resolve().parent,
        docker=Docker(args.context),
        plan=plan,
        ca_bundle=spec.build.ca_bundle,
        script=spec.script,
        door_port=spec.door.port,
        door_address=spec.door.address,
    )


def options(
    args: argparse.Namespace, *, build: bool = True, progress: Lines | None = None
) -> UpOptions:
    """What was chosen by `add_choices`. Raises SpecError when it cannot be read."""
    from ipaddress import IPv4Network

    from seawall.engine.compose import UpOptions

    try:
        networks = IPv4Network(args.networks) if args.networks else None
    except ValueError:
        networks = IPv4Network(0)
    if networks and networks.prefixlen != 16:
        raise SpecError(
            [f"--networks: {args.networks} is no /16. Write an IPv4 network of that size."]
        )
    registry = f"{args.registry.rstrip('/')}/" if args.registry else ""
    return UpOptions(args.offline, build, registry, networks, progress or Lines())


def project(args: argparse.Namespace) -> Project:
    """What there is on Docker of a mesh. A spec that has faults now must not stand in the way of
    taking down what it was before: its name, or the one mesh that is laid here, is enough.
    """
    from seawall.engine.docker import Docker
    from seawall.engine.project import Project

    folder, docker = args.file.resolve().parent, Docker(args.context)
    if args.name:
        return Project(_project(args.name), folder, docker)
    try:
        from seawall.spec.load import load

        return Project(_project(load(args.file, args.env).name), folder, docker)
    except SpecError:
        laid = [f for f in (folder / ".seawall" / "compose").glob("*") if f.is_dir()]
        if len(laid) != 1:
            raise
        return Project(laid[0].name, folder, docker)


def _project(name: str) -> str:
    return f"seawall-{name}"


class Lines:
    """Says on stderr what is going on: a changing line on a terminal, elsewhere what stays."""

    def __init__(self) -> None:
        self._terminal = sys.stderr.isatty()
        self.last = ""
        """What was going on last."""

    def say(self, text: str) -> None:
        """A line that stays."""
        self.clear()
        self.last = text
        print(f"  {text}", file=sys.stderr, flush=True)

    def step(self, text: str) -> None:
        """The changing line."""
        self.last = text
        if self._terminal:
            print(f"\r\033[K  {text[:WIDTH]} …", end="\r", file=sys.stderr, flush=True)

    def clear(self) -> None:
        """Take the changing line away."""
        if self._terminal:
            print("\r\033[K", end="", file=sys.stderr, flush=True)
