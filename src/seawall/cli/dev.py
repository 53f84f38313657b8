"""`seawall dev`: the mesh in one process. With a question it answers and ends, else it asks."""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from seawall.errors import SeawallError

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.console import Console

    from seawall.mesh import Mesh, Session
    from seawall.wire.messages import RunView

EXIT_INTERRUPTED = 130
PROMPT = "ask> "


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("question", nargs="?", help="ask this and end; without it, a prompt")
    parser.add_argument("-f", "--file", type=Path, default=Path("seawall.yaml"), help="the spec")
    parser.add_argument("--env", help="lay seawall.ENV.yaml over the spec")
    parser.add_argument("--offline", action="store_true", help="answer from the spec's script")
    parser.add_argument("--library", type=Path, metavar="DIR", help="index the documents in DIR")
    parser.add_argument("--broker", metavar="URL", help="redis://… instead of the embedded server")
    parser.add_argument("--json", action="store_true", help="print events as JSON lines")


def run(args: argparse.Namespace) -> int:
    """Run the mesh; the exit code says how the run ended."""
    from seawall.cli.folder import readable_folder

    library = readable_folder("--library", args.library)
    if args.question is not None:
        mesh = _load(args)
        _tell_packages(mesh)
        return asyncio.run(_once(mesh, args, library))
    return _prompt(args, library)


def _load(args: argparse.Namespace) -> Mesh:
    from seawall.mesh import Mesh

    return Mesh.load(args.file, args.env)


def _tell_packages(mesh: Mesh) -> None:
    from seawall.engine.dev_packages import notes

    for note in notes(mesh.plan):
        print(note, file=sys.stderr)


async def _once(mesh: Mesh, args: argparse.Namespace, library: Path | None) -> int:
    tell = _teller(args.json)
    async with mesh.dev(
        offline=args.offline, broker=args.broker, documents=library, tell=tell
    ) as session:
        return await ask(session, args.question, args.json)


async def ask(session: Session, question: str, as_json: bool) -> int:
    """Ask, show the run while it goes, print the answer. Ctrl-C cancels the whole tree."""
    from rich.console import Console

    from seawall.cli.tree import TreeView, display
    from seawall.mesh import answered

    asking = asyncio.current_task()
    loop = asyncio.get_running_loop()
    interrupted = False

    def interrupt() -> None:
        nonlocal interrupted
        interrupted = True
        if asking is not None:
            asking.cancel()

    with suppress(NotImplementedError):
        loop.add_signal_handler(signal.SIGINT, interrupt)
        loop.add_signal_handler(signal.SIGTERM, interrupt)
    run, console, tree = "", Console(), TreeView()
    try:
        with display(console, tree, as_json=as_json) as feed:
            async for event in session.stream(question):
                run = event.run
                feed(event)
    except asyncio.CancelledError:
        if not interrupted:
            raise
        if asking is not None:
            asking.uncancel()
        await _tell_interrupted(session, run)
        return EXIT_INTERRUPTED
    finally:
        with suppress(NotImplementedError):
            loop.remove_signal_handler(signal.SIGINT)
            loop.remove_signal_handler(signal.SIGTERM)
    view = answered(await session.door.run(run))
    if not as_json:
        _print_answer(console, view)
        console.print(tree.summary())
    return 0


async def _tell_interrupted(session: Session, run: str) -> None:
    if not run:
        print("seawall dev: interrupted before the run began", file=sys.stderr)
        return
    tasks = await session.door.tasks(run)
    done = sum(task.state == "done" for task in tasks)
    print(
        f"seawall dev: interrupted; run {run} cancelled with {done} of {len(tasks)} tasks done",
        file=sys.stderr,
    )


def _print_answer(console: Console, view: RunView) -> None:
    if not console.is_terminal:
        print(view.output)
        return
    from rich.markdown import Markdown

    console.print(Markdown(view.output or ""))


def _teller(as_json: bool) -> Callable[[str], None]:
    """Says what is starting, on stderr and only to a person."""
    if as_json or not sys.stderr.isatty():
        return lambda _text: None
    return lambda text: print(f"\r\033[K  starting {text} …", end="\r", file=sys.stderr, flush=True)


def _prompt(args: argparse.Namespace, library: Path | None) -> int:
    """Ask for questions until the input ends; what was edited in between takes effect."""
    while True:
        mesh = _load(args)
        _tell_packages(mesh)
        code = asyncio.run(_serve(mesh, args, library))
        if code is not None:
            return code
        print("the mesh changed: restarted", file=sys.stderr)


async def _serve(mesh: Mesh, args: argparse.Namespace, library: Path | None) -> int | None:
    """Answer questions on one mesh; None when its files changed and it must be loaded again."""
    seen = mesh.plan.digest
    question = ""
    async with mesh.dev(
        offline=args.offline, broker=args.broker, documents=library, tell=_teller(args.json)
    ) as session:
        while True:
            if question:
                await _answer_or_tell(session, question, args.json)
            try:
                question = (await asyncio.to_thread(_read_question)).strip()
            except EOFError:
                return 0
            if question in ("exit", "quit"):
                return 0
            if question and _changed(args, seen):
                return None


def _read_question() -> str:
    if sys.stdin.isatty():
        return input(PROMPT)
    line = sys.stdin.readline()
    if not line:
        raise EOFError
    return line


async def _answer_or_tell(session: Session, question: str, as_json: bool) -> None:
    """One failed question does not end the prompt."""
    try:
        await ask(session, question, as_json)
    except SeawallError as error:
        print(error, file=sys.stderr)


def _changed(args: argparse.Namespace, seen: str) -> bool:
    """Whether the spec now means something else. A fault in it is told and the old mesh goes on."""
    try:
        return _load(args).plan.digest != seen
    except SeawallError as error:
        print(f"{error}\nthe mesh goes on as it was", file=sys.stderr)
        return False
