"""Commands that go on until Ctrl-C, as one looks at them: `ps --watch` on a terminal, `logs -f`."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import harness
from test_health import until

EXIT_INTERRUPTED = 130


class Terminal:
    """What a command has written to a terminal of its own."""

    def __init__(self) -> None:
        self._ours, self.side = pty.openpty()
        os.set_blocking(self._ours, False)
        self._said = ""

    def shows(self, words: str) -> bool:
        """Whether it has written these by now."""
        with suppress(BlockingIOError):
            self._said += os.read(self._ours, 65536).decode(errors="replace")
        return words in self._said

    def close(self) -> None:
        """Let go of it."""
        os.close(self._ours)
        os.close(self.side)


@contextmanager
def going_on(mesh: harness.Mesh, *words: str) -> Iterator[Terminal]:
    """Run a command of Seawall's that does not end by itself; end it by Ctrl-C."""
    terminal = Terminal()
    side = terminal.side
    running = subprocess.Popen(
        mesh.line(*words), cwd=mesh.folder, stdin=side, stdout=side, stderr=side,
        env=os.environ | {"COLUMNS": "100", "LINES": "40", "TERM": "xterm"},
        preexec_fn=harness.heeding_interrupts,
    )  # fmt: skip
    try:
        yield terminal
        assert running.poll() is None, "it goes on"
        running.send_signal(signal.SIGINT)
        assert running.wait(20) == EXIT_INTERRUPTED
    finally:
        running.kill()
        running.wait(10)
        terminal.close()


def test_ps_watch_shows_what_changes(team: harness.Mesh) -> None:
    worker = team.container("agent-worker")
    with going_on(team, "ps", "--watch") as terminal:
        until(lambda: terminal.shows("agent-worker"), "it shows the mesh", 20)
        harness.docker("pause", worker)
        try:
            until(lambda: terminal.shows("paused"), "it shows the change", 20)
        finally:
            harness.docker("unpause", worker)


def test_logs_follow_what_is_said_after_they_began(team: harness.Mesh) -> None:
    with going_on(team, "logs", "-f", "--tail", "0", "door") as terminal:
        team.ask("one two")
        until(lambda: terminal.shows("/v1/runs"), "the door's line about the question", 20)
