"""`seawall run`: asks the running mesh, through its door. Never starts another engine silently."""

from __future__ import annotations

import argparse
import asyncio
from typing import TYPE_CHECKING

from . import on_docker

if TYPE_CHECKING:
    from seawall.engine.project import Project


def configure(parser: argparse.ArgumentParser) -> None:
    """Describe the command line."""
    on_docker.add_arguments(parser)
    parser.add_argument("question", help="what to ask")
    parser.add_argument("--json", action="store_true", help="print events as JSON lines")


def run(args: argparse.Namespace) -> int:
    """Ask; the exit code says how the run ended."""
    return asyncio.run(_ask(on_docker.project(args), args.question, args.json))


async def _ask(project: Project, question: str, as_json: bool) -> int:
    from seawall.cli.dev import Interrupts, ask
    from seawall.engine.door_client import reach
    from seawall.mesh import Session

    async with project.reach_door() as (url, token), reach(url, token) as door:
        with Interrupts() as interrupts:
            return await ask(Session(door), question, as_json, interrupts)
