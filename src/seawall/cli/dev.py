"""`seawall dev`: the mesh in one process. With a question it answers and ends, else it asks."""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractAsyncContextManager

    from rich.console import Console

    from seawall.memory.store import Stores
    from seawall.mesh import Mesh, Session
    from seawall.wire.messages import RunView

EXIT_INTERRUPTED = 130
SIGNALS = (signal.SIGINT, signal.SIGTERM)


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
    try:
        if args.question is None:
            return asyncio.run(_prompt(args, library))
        return asyncio.run(_once(_load(args), args, library))
    except asyncio.CancelledError:  # by a signal, while nothing was asked
        print(file=sys.stderr)
        return EXIT_INTERRUPTED


def _load(args: argparse.Namespace) -> Mesh:
    from seawall.mesh import Mesh

    return Mesh.load(args.file, args.env)


def _tell_packages(mesh: Mesh) -> None:
    from seawall.engine.dev_packages import notes

    for note in notes(mesh.plan):
        print(note, file=sys.stderr)


async def _once(mesh: Mesh, args: argparse.Namespace, library: Path | None) -> int:
    with Interrupts() as interrupts:
        async with _running(mesh, args, library) as session:
            return await ask(session, args.question, args.json, interrupts)


def _running(
    mesh: Mesh, args: argparse.Namespace, library: Path | None, stores: Stores | None = None
) -> AbstractAsyncContextManager[Session]:
    return mesh.dev(
        offline=args.offline,
        broker=args.broker,
        documents=library,
        tell=_teller(args.json),
        warn=_warn,
        stores=stores,
    )


async def ask(session: Session, question: str, as_json: bool, interrupts: Interrupts) -> int:
    """Ask, show the run while it goes, print the answer. Ctrl-C cancels the whole tree."""
    from seawall.cli.screen import Screen
    from seawall.cli.tree import TreeView, display
    from seawall.mesh import answered

    run, console, tree = "", Screen(), TreeView()
    try:
        with display(console, tree, as_json=as_json) as feed:
            async for event in session.stream(question):
                run = event.run
                feed(event)
    except asyncio.CancelledError:
        if not interrupts.pending:
            raise
        interrupts.handled()
        await _tell_interrupted(session, run)
        return EXIT_INTERRUPTED
    view = answered(await session.door.run(run))
    if not as_json:
        _print_answer(console, view)
        console.print(tree.summary())
    return 0


class Interrupts:
    """Turns Ctrl-C and SIGTERM into the cancellation of the task that entered it."""

    def __init__(self) -> None:
        self.pending = False
        self.terminated = False

    def __enter__(self) -> Self:
        self._task = asyncio.current_task()
        self._loop = asyncio.get_running_loop()
        with suppress(NotImplementedError):
            for number in SIGNALS:
                self._loop.add_signal_handler(number, self._came, number)
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(NotImplementedError):
            for number in SIGNALS:
                self._loop.remove_signal_handler(number)

    def _came(self, number: int) -> None:
        if self.pending:
            raise KeyboardInterrupt  # asked twice: end at once
        self.pending = True
        self.terminated = number == signal.SIGTERM
        if self._task is not None:
            self._task.cancel()

    def handled(self) -> None:
        """The cancellation was dealt with; the task goes on."""
        self.pending = False
        if self._task is not None:
            self._task.uncancel()


async def _tell_interrupted(session: Session, run: str) -> None:
    if not run:
        print("interrupted before the run began", file=sys.stderr)
        return
    tasks = await session.door.tasks(run)
    done = sum(task.state == "done" for task in tasks)
    print(
        f"interrupted; run {run} cancelled with {done} of {len(tasks)} tasks done",
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


def _warn(text: str) -> None:
    print(f"seawall dev: {text}", file=sys.stderr)


async def _prompt(args: argparse.Namespace, library: Path | None) -> int:
    """Ask for questions until the input ends; what was edited in between takes effect."""
    from seawall.cli.prompt import Made, prompt
    from seawall.cli.watch import seen
    from seawall.memory.store import Stores

    stores = Stores()

    def opened() -> Made:
        mesh = _load(args)
        _tell_packages(mesh)
        return Made(_running(mesh, args, library, stores), seen(mesh, library))

    async def asked(session: Session, question: str) -> None:
        await ask(session, question, args.json, interrupts)
        if interrupts.terminated:  # Ctrl-C ends a run, SIGTERM the prompt as well
            raise asyncio.CancelledError

    with Interrupts() as interrupts:
        return await prompt(opened, asked)
