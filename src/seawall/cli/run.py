"""`seawall run`: asks the running mesh, through its door. Never starts another engine silently."""

from __future__ import annotations

import argparse
import asyncio

from . import on_docker


def configure(parser: argparse.ArgumentParser) -> None:
    """Describe the command line."""
    on_docker.add_arguments(parser)
    parser.add_argument("question", help="what to ask")
    parser.add_argument("--json", action="store_true", help="print events as JSON lines")


def run(args: argparse.Namespace) -> int:
    """Ask; the exit code says how the run ended."""
    engine = on_docker.engine(args)
    url, token = engine.door()
    return asyncio.run(_ask(url, token, args.question, args.json))


async def _ask(url: str, token: str, question: str, as_json: bool) -> int:
    from seawall.cli.dev import Interrupts, ask
    from seawall.engine.door_client import reach
    from seawall.mesh import Session

    async with reach(url, token) as door:
        with Interrupts() as interrupts:
            return await ask(Session(door), question, as_json, interrupts)
