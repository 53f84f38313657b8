"""The entry point of `seawall`: reads the command line, runs one command, turns errors into words.

Only the chosen command's module is imported, so that `--help` and `check` answer at once. Knows
nothing about what the commands do.
"""

from __future__ import annotations

import argparse
import gc
import importlib
import os
import signal
import sys
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, NoReturn, cast

from seawall.errors import SeawallError

EXIT_USAGE = 2
EXIT_BUG = 70  # EX_SOFTWARE of sysexits.h
EXIT_INTERRUPTED = 128 + signal.SIGINT
EXIT_PIPE_CLOSED = 128 + signal.SIGPIPE
NEW_OBJECTS_PER_COLLECTION = 100_000
COLUMNS_DEFAULT = 80


EXIT_CODES = {
    0: "it worked; for a question: the run answered",
    1: "the tool says that its function failed; for `ps`: nothing runs",
    2: "the spec has faults (all of them are listed), or the command line is wrong",
    3: "this machine or its operator lacks something: a key, a broker or Docker Engine that "
    "answers, a free port or folder",
    4: "the run ended without an answer",
    5: "a limit of the spec stopped the run, task or call: budget, deadline, depth",
    6: "the keeper or a bridge refused the request: no grant, no lease, no edge",
    EXIT_BUG: "a bug in Seawall; run again with `--debug` and report it",
    EXIT_INTERRUPTED: "interrupted with Ctrl-C or a signal; the whole tree of tasks was cancelled, "
    "what `up` had started stays",
    EXIT_PIPE_CLOSED: "the reader of the output went away (`seawall plan | head`)",
}
"""Stable: programs rely on them. `docs/reference/exit-codes.md` says the same."""
ALWAYS = (EXIT_BUG, EXIT_INTERRUPTED, EXIT_PIPE_CLOSED)


class Command(NamedTuple):
    """One command: its word, the module that has `configure` and `run`, and a line of help."""

    name: str
    module: str
    summary: str
    ends: tuple[int, ...] = (0, 2)

    @property
    def exits(self) -> tuple[int, ...]:
        """Every code that it may end with."""
        return (*self.ends, *ALWAYS)


COMMANDS = (
    Command("init", "seawall.cli.init", "Write a working mesh to start from", (0, 2, 3)),
    Command("check", "seawall.cli.check", "Read seawall.yaml and report every fault at once"),
    Command("plan", "seawall.cli.plan", "Show what the file means: workloads, links, controls"),
    Command(
        "dev", "seawall.cli.dev", "Run the mesh in one process, without Docker", (0, 2, 3, 4, 5, 6)
    ),
    Command(
        "doctor",
        "seawall.cli.doctor",
        "Check whether this machine's Docker can hold a mesh",
        (0, 2, 3),
    ),
    Command(
        "secrets",
        "seawall.cli.secrets",
        "Show which secrets there are, and which are missing",
        (0, 2, 3),
    ),
    Command("build", "seawall.cli.build", "Build the mesh's images, and push them", (0, 2, 3)),
    Command("up", "seawall.cli.up", "Build and start the mesh on Docker", (0, 2, 3)),
    Command("run", "seawall.cli.run", "Ask the running mesh", (0, 2, 3, 4, 5, 6)),
    Command("ps", "seawall.cli.ps", "Show what runs on Docker, and how it is", (0, 1, 2, 3)),
    Command("logs", "seawall.cli.logs", "Show what the mesh's containers say", (0, 2, 3)),
    Command("scale", "seawall.cli.scale", "Run more or fewer replicas of an agent", (0, 2, 3)),
    Command("down", "seawall.cli.down", "Stop the mesh and remove its containers", (0, 1, 2, 3)),
    Command("render", "seawall.cli.render", "Write the mesh as a Compose project", (0, 2, 3)),
    Command(
        "call",
        "seawall.cli.call",
        "Call one function of a tool, without a model",
        (0, 1, 2, 3, 5, 6),
    ),
    Command("version", "seawall.cli.version", "Print the version of Seawall"),
)


class _Formatter(argparse.HelpFormatter):
    """Argparse's own asks `shutil` for the width, and so imports three compressors."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, width=_columns() - 2)


class _Parser(argparse.ArgumentParser):
    """Argparse whose faults say where to look next, on one line."""

    def __init__(self, **given: Any) -> None:
        super().__init__(**given, formatter_class=_Formatter)

    def error(self, message: str) -> NoReturn:
        print(f"{self.prog}: {message}. Try `{self.prog} --help`.", file=sys.stderr)
        raise SystemExit(EXIT_USAGE)


def program() -> NoReturn:
    """The process `seawall`: as `main`, with the garbage collector told that it is a short one.

    Importing and forgetting pydantic costs a collector that looks after every 700 objects a
    quarter of the time of `check`.
    """
    gc.set_threshold(NEW_OBJECTS_PER_COLLECTION)
    code = main()
    gc.freeze()  # what is left goes with the process
    raise SystemExit(code)


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
            import traceback

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
    for command in COMMANDS if chosen is None else (chosen,):
        under = commands.add_parser(
            command.name,
            help=command.summary,
            description=f"{command.summary}.",
            epilog=f"exit codes: {', '.join(map(str, command.exits))}",
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


def _columns() -> int:
    """The terminal's width."""
    try:
        return int(os.environ.get("COLUMNS", "")) or COLUMNS_DEFAULT
    except ValueError:
        pass
    try:
        return os.get_terminal_size().columns or COLUMNS_DEFAULT
    except (OSError, ValueError):
        return COLUMNS_DEFAULT


def _unknown(word: str) -> int:
    import difflib

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
    import traceback  # late, like difflib: a command that works needs neither

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
    program()
