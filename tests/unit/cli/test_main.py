"""The command line's edge: the table, errors in words, exit codes, and how fast it answers."""

from __future__ import annotations

import argparse
import subprocess
import sys
import types
from collections.abc import Callable
from pathlib import Path

import pytest

from seawall.cli.main import COMMANDS, EXIT_BUG, EXIT_INTERRUPTED, EXIT_PIPE_CLOSED, main
from seawall.errors import LimitReached, OperatorError, Refused, RunFailed, SeawallError, SpecError

HEAVY = ("pydantic", "rich", "httpx", "yaml", "asyncio", "importlib.metadata", "redis", "mcp")


@pytest.fixture
def as_command(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], int]], None]:
    """Stand a function of the test's in for the command `check`."""

    def install(body: Callable[[], int]) -> None:
        module = types.ModuleType("seawall.cli.check")
        module.__dict__["configure"] = lambda parser: None
        module.__dict__["run"] = lambda args: body()
        monkeypatch.setitem(sys.modules, "seawall.cli.check", module)

    return install


def raising(error: BaseException) -> Callable[[], int]:
    def body() -> int:
        raise error

    return body


def test_help_lists_every_command_with_its_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    shown = capsys.readouterr().out
    for command in COMMANDS:
        assert f"{command.name} " in shown
        assert command.summary in shown


def test_no_arguments_show_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    assert "commands:" in capsys.readouterr().out


@pytest.mark.parametrize("words", [["--version"], ["version"]])
def test_the_version_is_the_package_s(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words) == 0
    assert capsys.readouterr().out.startswith("seawall 0.")


def test_an_unknown_command_names_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["chekc"]) == 2
    assert "Did you mean `check`?" in capsys.readouterr().err


def test_an_unknown_option_is_one_line_and_no_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["version", "--nonsense"]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_a_spec_error_prints_every_fault_and_exits_2(
    as_command: Callable[[Callable[[], int]], None], capsys: pytest.CaptureFixture[str]
) -> None:
    as_command(raising(SpecError(["a.yaml:1: x: no. Do y.", "a.yaml:2: z: no. Do w."])))
    assert main(["check"]) == 2
    assert capsys.readouterr().err == "a.yaml:1: x: no. Do y.\na.yaml:2: z: no. Do w.\n"


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (SeawallError("x", "went wrong"), 1),
        (OperatorError("x", "lacks a key"), 3),
        (RunFailed("run", "no answer"), 4),
        (LimitReached("run", "the budget is spent"), 5),
        (Refused("grant", "not granted"), 6),
    ],
    ids=lambda given: type(given).__name__,
)
def test_each_kind_of_error_has_its_exit_code(
    error: SeawallError,
    code: int,
    as_command: Callable[[Callable[[], int]], None],
    capsys: pytest.CaptureFixture[str],
) -> None:
    as_command(raising(error))
    assert main(["check"]) == code
    assert capsys.readouterr().err == f"{error}\n"


def test_an_error_inside_a_task_group_is_told_like_any_other(
    as_command: Callable[[Callable[[], int]], None], capsys: pytest.CaptureFixture[str]
) -> None:
    inner = OperatorError("broker", "does not answer", "Start it")
    as_command(raising(ExceptionGroup("tasks", [ValueError("x"), ExceptionGroup("t", [inner])])))
    assert main(["check"]) == 3
    assert capsys.readouterr().err == "broker: does not answer. Start it.\n"


def test_a_bug_shows_its_place_but_not_its_message_which_may_hold_a_secret(
    as_command: Callable[[Callable[[], int]], None], capsys: pytest.CaptureFixture[str]
) -> None:
    as_command(raising(ValueError("key sk-secret")))
    assert main(["check"]) == EXIT_BUG
    shown = capsys.readouterr().err
    assert "ValueError" in shown
    assert "sk-secret" not in shown
    assert "Traceback" not in shown


@pytest.mark.parametrize("words", [["--debug", "check"], ["check", "--debug"]])
def test_debug_shows_the_traceback_on_either_side_of_the_command(
    words: list[str],
    as_command: Callable[[Callable[[], int]], None],
    capsys: pytest.CaptureFixture[str],
) -> None:
    as_command(raising(OperatorError("broker", "does not answer")))
    assert main(words) == 3
    assert "Traceback" in capsys.readouterr().err


def test_an_interrupt_ends_with_130_and_no_traceback(
    as_command: Callable[[Callable[[], int]], None], capsys: pytest.CaptureFixture[str]
) -> None:
    as_command(raising(KeyboardInterrupt()))
    assert main(["check"]) == EXIT_INTERRUPTED == 130
    assert "Traceback" not in capsys.readouterr().err


def test_a_reader_that_goes_away_ends_the_command_without_a_word() -> None:
    script = "from seawall.cli.main import main; raise SystemExit(main(['version']))"
    command = [sys.executable, "-c", script]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == EXIT_PIPE_CLOSED


def test_help_imports_nothing_heavy() -> None:
    script = (
        "import sys; from seawall.cli.main import main; main(['--help']);"
        f"print(*(m for m in {HEAVY!r} if m in sys.modules), end='', file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.stderr == ""
    assert done.returncode == 0


SELDOM = ("importlib.metadata", "difflib", "traceback", "genai_prices", "httpx", "rich", "asyncio")


def test_a_check_without_a_fault_imports_only_what_it_needs(tmp_path: Path) -> None:
    assert main(["init", str(tmp_path)]) == 0
    script = (
        "import sys; from seawall.cli.main import main;"
        f"code = main(['check', '-f', {str(tmp_path / 'seawall.yaml')!r}]);"
        f"print(*(m for m in {SELDOM!r} if hasattr(sys.modules.get(m), '__file__')));"
        "raise SystemExit(code)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert (done.returncode, done.stdout.splitlines()[-1]) == (0, ""), done.stderr


@pytest.mark.parametrize(
    "use",
    [
        "from importlib.metadata import entry_points; entry_points(group='x')",
        "import importlib.metadata; importlib.metadata.version('pydantic')",
        "import importlib.metadata as m; m.version('pydantic')",
    ],
)
def test_what_was_put_off_is_there_when_it_is_used(use: str) -> None:
    script = (
        "import sys; from seawall.cli.late import put_off;"
        f"put_off('importlib.metadata', 'entry_points'); {use};"
        "assert sys.modules['importlib.metadata'].__file__"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


def test_every_command_in_the_table_has_configure_and_run() -> None:
    import importlib
    import importlib.util

    for command in COMMANDS:
        module = importlib.import_module(command.module)
        module.configure(argparse.ArgumentParser())
        assert callable(module.run)
