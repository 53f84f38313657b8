"""`seawall dev` as a prompt: many questions on one mesh, edits in between, and its endings."""

from __future__ import annotations

import os
import pty
import re
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from seawall.cli.main import main

SEAWALL = [sys.executable, "-m", "seawall.cli.main", "dev", "--offline"]
WAIT_SECONDS = 60.0
STYLE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


class Prompt:
    """A `seawall dev` without a question; stdout and stderr together."""

    def __init__(self, folder: Path, *options: str, terminal: bool = False) -> None:
        self.ours = theirs = -1
        if terminal:
            self.ours, theirs = pty.openpty()
        self.process = subprocess.Popen(
            [*SEAWALL, *options],
            cwd=folder,
            stdin=theirs if terminal else subprocess.PIPE,
            stdout=theirs if terminal else subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            env={**os.environ, "COLUMNS": "100", "TERM": "xterm"},
        )
        if terminal:
            os.close(theirs)
        self.told = ""

    def write(self, text: str) -> None:
        if self.ours >= 0:
            os.write(self.ours, text.encode())
            return
        assert self.process.stdin is not None
        self.process.stdin.write(text.encode())
        self.process.stdin.flush()

    def until(self, words: str) -> str:
        """All that was printed up to a match of `words`, from where the last call ended."""
        end = time.monotonic() + WAIT_SECONDS
        while not (found := re.search(words, self.told, re.MULTILINE)):
            chunk = self._read(max(0.0, end - time.monotonic()))
            assert chunk, f"ended or silent before {words!r}:\n{self.told}"
            self.told += STYLE.sub("", chunk.decode(errors="replace"))
        shown, self.told = self.told[: found.end()], self.told[found.end() :]
        return shown

    def _read(self, seconds: float) -> bytes:
        stream = self.ours
        if stream < 0:
            assert self.process.stdout is not None
            stream = self.process.stdout.fileno()
        if not select.select([stream], [], [], seconds)[0]:
            return b""
        try:
            return os.read(stream, 65536)
        except OSError:  # a terminal whose other side is closed
            return b""

    def ask(self, question: str) -> str:
        self.write(question + "\n")
        return self.until(r"(done|failed) in \d")  # the summary's last line, `✓ done in 1.2s`

    def end(self) -> tuple[int, str]:
        """Close the input; the exit code and what else was printed."""
        if self.process.stdin is not None:
            self.process.stdin.close()
        while chunk := self._read(WAIT_SECONDS):
            self.told += chunk.decode(errors="replace")
        return self.process.wait(WAIT_SECONDS), self.told


Start = Callable[..., Prompt]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    assert main(["init", str(tmp_path)]) == 0
    return tmp_path


@pytest.fixture
def start(folder: Path) -> Iterator[Start]:
    started: list[Prompt] = []

    def begin(*options: str, terminal: bool = False) -> Prompt:
        started.append(Prompt(folder, *options, terminal=terminal))
        return started[-1]

    yield begin
    for prompt in started:
        prompt.process.kill()
        prompt.process.wait()
        for stream in (prompt.process.stdin, prompt.process.stdout):
            if stream is not None:
                stream.close()
        if prompt.ours >= 0:
            os.close(prompt.ours)


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_several_questions_are_answered_on_one_mesh_and_the_end_of_input_is_0(
    start: Start,
) -> None:
    prompt = start()
    assert "2 words" in prompt.ask("one two")
    assert "3 words" in prompt.ask("one two three")
    code, rest = prompt.end()
    assert code == 0
    assert "restarted" not in rest
    assert "Traceback" not in rest


@pytest.mark.parametrize("word", ["exit", "quit"])
def test_exit_ends_with_0(word: str, start: Start) -> None:
    prompt = start()
    prompt.write(f"\n  {word} \n")
    assert prompt.process.wait(WAIT_SECONDS) == 0


def test_questions_may_come_from_a_file_whose_last_line_has_no_end(folder: Path) -> None:
    (folder / "questions").write_text("one two\none two three")
    with (folder / "questions").open() as questions:
        done = subprocess.run(
            SEAWALL, cwd=folder, stdin=questions, capture_output=True, text=True, timeout=60
        )
    assert done.returncode == 0, done.stderr
    assert "2 words" in done.stdout
    assert "3 words" in done.stdout


def test_without_any_input_it_ends_with_0(folder: Path) -> None:
    command = f"exec {sys.executable} -m seawall.cli.main dev --offline <&-"
    done = subprocess.run(["bash", "-c", command], cwd=folder, capture_output=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, b"")


def test_what_is_edited_takes_effect_at_the_next_question(start: Start, folder: Path) -> None:
    (folder / "tools" / "figures.py").write_text("FACTOR = 1\n")
    edit(folder / "tools" / "text.py", "from seawall", "from figures import FACTOR\nfrom seawall")
    edit(folder / "tools" / "text.py", "len(text.split())", "FACTOR * len(text.split())")
    prompt = start()
    assert "2 words" in prompt.ask("one two")
    edit(folder / "tools" / "text.py", "FACTOR * len", "100 + FACTOR * len")
    assert "102 words" in prompt.ask("one two")
    (folder / "tools" / "figures.py").write_text("FACTOR = 10\n")  # beside the tool's file
    assert "120 words" in prompt.ask("one two")
    edit(folder / "offline.yaml", "Your text has", "I count")
    assert "I count 120 words" in prompt.ask("one two")
    edit(folder / "prompts" / "editor.md", "You answer", "You always answer")
    assert "the mesh changed: restarted" in prompt.ask("one two")
    edit(folder / "seawall.yaml", "{usd: 1,", "{usd: 2,")
    assert "the mesh changed: restarted" in prompt.ask("one two")
    assert prompt.end()[0] == 0


@pytest.mark.parametrize(
    ("file", "old", "new", "told"),
    [
        ("seawall.yaml", "main: editor", "main: editer", "Did you mean 'editor'?"),
        ("tools/text.py", "def measure", "def measure measure", "is not valid Python"),
        ("offline.yaml", "turns:", "truns:", "offline.yaml"),
        ("prompts/editor.md", "You answer", "\0", "is a binary file"),
    ],
)
def test_a_fault_in_an_edit_is_told_and_the_mesh_goes_on_as_it_was(
    file: str, old: str, new: str, told: str, start: Start, folder: Path
) -> None:
    prompt = start()
    prompt.ask("one two")
    edit(folder / file, old, new)
    shown = prompt.ask("one two three")
    assert told in shown
    assert "the mesh goes on as it was" in shown
    assert "3 words" in shown
    edit(folder / file, new, old)
    assert "3 words" in prompt.ask("one two three")
    code, rest = prompt.end()
    assert code == 0
    assert "Traceback" not in shown + rest


def test_one_failing_question_does_not_end_the_prompt(start: Start, folder: Path) -> None:
    edit(folder / "seawall.yaml", "tokens: 100000", "tokens: 10")
    prompt = start()
    prompt.write("one two\n")
    prompt.until("^run .*tokens")
    edit(folder / "seawall.yaml", "tokens: 10", "tokens: 100000")
    assert "2 words" in prompt.ask("one two")
    assert prompt.end()[0] == 0


def test_a_tool_that_cannot_be_loaded_is_told_and_its_mending_takes_effect(
    start: Start, folder: Path
) -> None:
    prompt = start()
    prompt.ask("one two")
    edit(folder / "tools" / "text.py", "from seawall", "import nowhere\nfrom seawall")
    assert "No module named 'nowhere'" in prompt.ask("one two")
    edit(folder / "tools" / "text.py", "import nowhere\n", "")
    assert "2 words" in prompt.ask("one two")
    assert prompt.end()[0] == 0


def with_memory(folder: Path) -> None:
    """The mesh recalls from a library, and says what it found."""
    (folder / "library").mkdir()
    (folder / "library" / "tides.md").write_text("# Tides\n\nThe wall is nine metres high.\n")
    edit(folder / "seawall.yaml", "script:", "  memory: {memory: {documents: library}}\nscript:")
    edit(folder / "seawall.yaml", "[text/measure]", "[text/measure, memory/recall]")
    edit(folder / "offline.yaml", "{tool: measure, args: {text:", "{tool: recall, args: {query:")
    edit(folder / "offline.yaml", 'say: "Your text has', 'say: "{{ last[0].text }} Your text has')
    edit(folder / "offline.yaml", " Your text has {{ last[0].data.words }} words and "
         "{{ last[0].data.characters }} characters.", "")  # fmt: skip


def test_a_documents_edit_is_indexed_before_the_next_question(start: Start, folder: Path) -> None:
    with_memory(folder)
    prompt = start()
    assert "nine metres" in prompt.ask("How high is the wall?")
    (folder / "library" / "tides.md").write_text("# Tides\n\nThe wall is twelve metres high.\n")
    assert "twelve metres" in prompt.ask("How high is the wall?")
    assert prompt.end()[0] == 0


@pytest.mark.parametrize(
    ("file", "old", "new", "told"),
    [
        ("seawall.yaml", "main: editor", "main: editer", "Did you mean 'editor'?"),
        ("offline.yaml", "turns:", "truns:", "offline.yaml"),  # shown by the start alone
    ],
)
def test_a_mesh_with_memory_too_goes_on_after_a_fault_in_an_edit(
    file: str, old: str, new: str, told: str, start: Start, folder: Path
) -> None:
    with_memory(folder)
    prompt = start()
    assert "nine metres" in prompt.ask("How high is the wall?")
    edit(folder / file, old, new)
    shown = prompt.ask("How high is the wall?")
    assert told in shown
    assert "the mesh goes on as it was" in shown
    assert "nine metres" in shown
    edit(folder / file, new, old)
    (folder / "library" / "tides.md").write_text("# Tides\n\nThe wall is twelve metres high.\n")
    shown = prompt.ask("How high is the wall?")
    assert "the mesh changed: restarted" in shown
    assert "twelve metres" in shown
    code, rest = prompt.end()
    assert code == 0
    assert "Traceback" not in shown + rest


def test_on_a_terminal_it_asks_answers_and_ends_at_ctrl_d(start: Start) -> None:
    prompt = start(terminal=True)
    prompt.until("ask> ")
    assert "2 words" in prompt.ask("one two")
    prompt.until("ask> ")
    prompt.write("\x04")
    code, rest = prompt.end()
    assert code == 0
    assert "Traceback" not in rest


@pytest.mark.parametrize("terminal", [True, False])
def test_ctrl_c_at_the_prompt_ends_it_at_once_without_a_traceback(
    terminal: bool, start: Start
) -> None:
    prompt = start(terminal=terminal)
    if terminal:
        prompt.until("ask> ")
    prompt.ask("one two")
    prompt.process.send_signal(signal.SIGINT)
    assert prompt.process.wait(20) == 130
    assert "Traceback" not in prompt.end()[1]


def slow(folder: Path) -> None:
    shutil.copy(folder / "offline.yaml", folder / "quick.yaml")
    (folder / "offline.yaml").write_text(
        "agents: {editor: {turns: [{say: late, delay_ms: 60000}]}}\n"
    )


def test_ctrl_c_during_a_run_cancels_the_run_and_asks_again(start: Start, folder: Path) -> None:
    slow(folder)
    prompt = start()
    prompt.write("one two\n")
    prompt.until("began model")
    prompt.process.send_signal(signal.SIGINT)
    prompt.until("cancelled with 0 of 1 tasks done")
    shutil.copy(folder / "quick.yaml", folder / "offline.yaml")
    assert "2 words" in prompt.ask("one two")
    prompt.process.send_signal(signal.SIGINT)
    assert prompt.process.wait(20) == 130


def test_sigterm_during_a_run_cancels_it_and_ends_the_prompt(start: Start, folder: Path) -> None:
    slow(folder)
    prompt = start()
    prompt.write("one two\n")
    prompt.until("began model")
    prompt.process.send_signal(signal.SIGTERM)
    assert prompt.process.wait(20) == 130
    assert "cancelled with 0 of 1 tasks done" in prompt.end()[1]
