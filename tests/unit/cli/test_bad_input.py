"""Whatever is given in the place of a spec is told in words, with its exit code."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from seawall.cli.main import main

SEAWALL = [sys.executable, "-m", "seawall.cli.main"]


def make(content: bytes) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        path.write_bytes(content)

    return write


BAD: dict[str, tuple[Callable[[Path], object], str]] = {
    "missing": (lambda path: None, "does not exist"),
    "folder": (Path.mkdir, "is a folder, not a file"),
    "pipe": (os.mkfifo, "is not a file"),
    "binary": (make(b"\x7fELF\0\0"), "is a binary file"),
    "empty": (make(b""), "is empty"),
    "comment": (make(b"# nothing\n"), "is empty"),
    "invalid YAML": (make(b"a: [1\nb: 2\n"), "is not valid YAML"),
    "list": (make(b"- a\n"), "must be a mapping"),
    "latin 1": (make("name: caf\xe9\n".encode("latin-1")), "is not valid UTF-8"),
    "large": (make(b"#" * (1024**2 + 1)), "is larger than 1 MiB"),
    "loop": (lambda path: path.symlink_to(path), "does not exist"),
}
READERS = (["check"], ["plan"], ["dev", "Hello?"], ["dev"], ["call", "text"])


@pytest.mark.parametrize("kind", BAD)
@pytest.mark.parametrize("words", READERS, ids=" ".join)
def test_a_bad_file_is_told_in_one_line(
    words: list[str], kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spec = tmp_path / "seawall.yaml"
    write, told = BAD[kind]
    write(spec)
    assert main([*words, "-f", str(spec)]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert told in err
    assert err.count("\n") == 1


@pytest.mark.skipif(os.geteuid() != 0 and not os.access("/proc/self/mem", os.R_OK), reason="/proc")
def test_a_file_that_cannot_be_read_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spec = tmp_path / "seawall.yaml"
    spec.symlink_to("/proc/self/mem")  # its first byte cannot be read, not even by root
    assert main(["check", "-f", str(spec)]) == 2
    assert "cannot be read" in capsys.readouterr().err


@pytest.mark.parametrize("words", [["plan"], ["plan", "--json"], ["check", "--schema"]])
def test_a_closed_pipe_ends_a_command_without_a_word(words: list[str], tmp_path: Path) -> None:
    assert main(["init", str(tmp_path)]) == 0
    with subprocess.Popen(
        [*SEAWALL, *words], cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 141


@pytest.mark.parametrize("words", [["check"], ["plan"], ["version"]])
def test_json_is_json_whatever_the_terminal_s_width(
    words: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["init", str(tmp_path)]) == 0
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "20")
    capsys.readouterr()
    assert main([*words, "--json"]) == 0
    assert isinstance(json.loads(capsys.readouterr().out), dict)


def test_init_tells_what_it_wrote_as_json(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["init", str(tmp_path / "a"), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert all(Path(file).is_file() for file in told["files"])
