"""The entry point of `seawall`: reads the command line, runs one command, turns errors into words.

Only the chosen command's module is imported, so that `--help` and `check` answer at once. Knows
nothing about what the commands do.
"""

from __future__ import annotations

import argparse
import difflib
import importlib
import os
import signal
import sys
import traceback
from collections.abc import Callable, Sequence
from typing import NamedTuple, NoReturn, cast

from seawall.errors import SeawallError

EXIT_USAGE = 2
EXIT_BUG = 70  # EX_SOFTWARE of sysexits.h
EXIT_INTERRUPTED = 128 + signal.SIGINT
EXIT_PIPE_CLOSED = 128 + signal.SIGPIPE


class Command(NamedTuple):
    """One command: its word, the module that has `configure` and `run`, and a line of help."""

    name: str
    module: str
    summary: str


COMMANDS = (
    Command("init", "seawall.cli.init", "Write a working mesh to start from"),
    Command("check", "seawall.cli.check", "Read seawall.yaml and report every fault at once"),
    Command("plan", "seawall.cli.plan", "Show what the file means: workloads, links, controls"),
    Command("dev", "seawall.cli.dev", "Run the mesh in one process, without Docker"),
    Command("doctor", "seawall.cli.doctor", "Check whether this machine's Docker can hold a mesh"),
    Command(
        "secrets", "seawall.cli.secrets", "Show which secrets there are, and which are missing"
    ),
    Command("build", "seawall.cli.build", "Build the mesh's images, and push them"),
    Command("up", "seawall.cli.up", "Build and start the mesh on Docker"),
    Command("run", "seawall.cli.run", "Ask the running mesh"),
    Command("ps", "seawall.cli.ps", "Show what runs on Docker, and how it is"),
    Command("logs", "seawall.cli.logs", "Show what the mesh's containers say"),
    Command("scale", "seawall.cli.scale", "Run more or fewer replicas of an agent"),
    Command("down", "seawall.cli.down", "Stop the mesh on Docker and remove its containers"),
    Command("render", "seawall.cli.render", "Write the mesh as a Docker Compose project"),
    Command("call", "seawall.cli.call", "Call one function of a tool, without a model"),
    Command("version", "seawall.cli.version", "Print the version of Seawall"),
)


class _Parser(argparse.ArgumentParser):
    """Argparse whose faults say where to look next, on one line."""

    def error(self, message: str) -> NoReturn:
        print(f"{self.prog}: {message}. Try `{self.prog} --help`.", file=sys.stderr)
        raise SystemExit(EXIT_USAGE)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code (see `docs/reference/exit-codes.md`)."""
    argv = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in argv[: argv.index("--")] if "--" in argv else "--debug" in argv
    try:
        code = _exit_code(argv)
        sys.stdout.flush()  # a closed pipe must show itself here, not at interpreter exit
        return code
    except BrokenPipeError:
        return _pipe_closed()
    except (Exception, KeyboardInterrupt, BaseExceptionGroup) as error:  # noqa: BLE001 - the edge
        if debug:
            traceback.print_exc()
        return _explain(_innermost(error), shown=debug)


def _exit_code(argv: list[str]) -> int:
    """The command's code; argparse ends `--help` and its own faults by SystemExit."""
    try:
        return _run(argv)
    except SystemExit as ending:
        return ending.code if isinstance(ending.code, int) else int(bool(ending.code))


def _run(argv: list[str]) -> int:
    word = next((a for a in argv if not a.startswith("-")), None)
    chosen = next((c for c in COMMANDS if c.name == word), None)
    if word is not None and chosen is None:
        return _unknown(word)
    parser, run = _parser(chosen)
    if chosen is None or run is None:
        parser.parse_args(argv)
        parser.print_help()
        return 0
    return run(parser.parse_args(argv))


def _parser(
    chosen: Command | None,
) -> tuple[argparse.ArgumentParser, Callable[[argparse.Namespace], int] | None]:
    parser = _Parser(
        prog="seawall",
        description="AI agents in containers they cannot climb out of.",
        epilog="`seawall COMMAND --help` tells more about one command.",
    )
    parser.add_argument("--version", action=_Version, help="print the version and exit")
    _add_debug(parser, default=False)
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", prog="seawall")
    run = None
    for command in COMMANDS:
        under = commands.add_parser(
            command.name, help=command.summary, description=f"{command.summary}."
        )
        if command is chosen:
            module = importlib.import_module(command.module)
            module.configure(under)
            _add_debug(under, default=argparse.SUPPRESS)
            run = cast("Callable[[argparse.Namespace], int]", module.run)
    return parser, run


def _add_debug(parser: argparse.ArgumentParser, default: bool | str) -> None:
    parser.add_argument(
        "--debug", action="store_true", default=default, help="show tracebacks of errors"
    )


class _Version(argparse.Action):
    """`--version`; reads the package's metadata only when asked."""

    def __init__(self, option_strings: list[str], dest: str, help: str) -> None:  # noqa: A002
        super().__init__(option_strings, dest, nargs=0, default=argparse.SUPPRESS, help=help)

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> NoReturn:
        from seawall.cli.version import text

        print(text())
        parser.exit()


def _unknown(word: str) -> int:
    near = difflib.get_close_matches(word, [c.name for c in COMMANDS], n=1)
    remedy = f"Did you mean `{near[0]}`?" if near else "`seawall --help` lists the commands."
    print(f"seawall: no command {word!r}. {remedy}", file=sys.stderr)
    return EXIT_USAGE


def _innermost(error: BaseException) -> BaseException:
    """The first cause a reader can act on; task groups wrap theirs in exception groups."""
    if not isinstance(error, BaseExceptionGroup):
        return error
    causes = [_innermost(inner) for inner in error.exceptions]
    return next((c for c in causes if isinstance(c, SeawallError)), causes[0])


def _explain(error: BaseException, *, shown: bool) -> int:
    """Say in words what ended the command; `shown`: its traceback is already on the screen."""
    if isinstance(error, SeawallError):
        print(error, file=sys.stderr)
        return error.exit_code
    if isinstance(error, KeyboardInterrupt):
        return EXIT_INTERRUPTED
    if not shown:
        # No message of an unknown exception: it may quote a request, and with it a secret.
        print(
            f"seawall: internal error: {type(error).__name__} at {_place(error)}. "
            "This is a bug in Seawall. Run again with --debug and report it.",
            file=sys.stderr,
        )
    return EXIT_BUG


def _place(error: BaseException) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    if not frames:
        return "an unknown place"
    frame = next((f for f in reversed(frames) if "seawall" in f.filename), frames[-1])
    return f"{os.path.basename(frame.filename)}:{frame.lineno}"  # noqa: PTH119 - pathlib is slow to import


def _pipe_closed() -> int:
    """The reader went away (`seawall plan | head`): end without a word."""
    quiet = os.open(os.devnull, os.O_WRONLY)
    os.dup2(quiet, sys.stdout.fileno())
    return EXIT_PIPE_CLOSED


if __name__ == "__main__":
    raise SystemExit(main())
