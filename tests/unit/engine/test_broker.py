"""The embedded broker: private, and gone when its parent is, however that went."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from seawall.engine.broker import find_server, open_broker, serve
from seawall.errors import OperatorError

PARENT = """
import asyncio, sys
from pathlib import Path
from seawall.engine.broker import open_broker
async def main():
    async with open_broker(None, Path(sys.argv[1])) as url:
        print(url, flush=True)
        await asyncio.sleep(60)
asyncio.run(main())
"""


def answers(url: str) -> bool:
    try:
        with socket.socket(socket.AF_UNIX) as probe:
            probe.settimeout(1)
            probe.connect(url.removeprefix("unix://"))
            probe.sendall(b"PING\r\n")
            return probe.recv(64).startswith(b"+PONG")
    except OSError:
        return False


def server_pids(home: str) -> list[int]:
    """Processes that were started with, or name, this folder."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and home in (entry / "cmdline").read_bytes().decode():
                found.append(int(entry.name))
        except (OSError, UnicodeDecodeError):
            continue
    return found


def test_the_embedded_broker_lives_as_long_as_its_context(tmp_path: Path) -> None:
    async def scenario() -> str:
        async with open_broker(None, tmp_path) as url:
            home = Path(url.removeprefix("unix://")).parent
            assert answers(url)
            assert stat.S_IMODE(home.stat().st_mode) == 0o700
            return url

    url = asyncio.run(scenario())
    assert not answers(url)
    assert list(tmp_path.iterdir()) == []
    assert server_pids(str(tmp_path)) == []


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM])
def test_the_broker_dies_with_its_parent(tmp_path: Path, end: signal.Signals) -> None:
    command = [sys.executable, "-c", PARENT, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout
        url = parent.stdout.readline().strip()
        assert answers(url)
        os.kill(parent.pid, end)
        parent.wait(10)
    until = time.monotonic() + 5
    while server_pids(url.rpartition("/")[0].removeprefix("unix://")) and time.monotonic() < until:
        time.sleep(0.02)
    assert server_pids(url.rpartition("/")[0].removeprefix("unix://")) == []
    assert not answers(url)
    assert list(tmp_path.iterdir()) == [], "nothing is left in the folder"


def test_a_broker_whose_watcher_is_killed_still_ends(tmp_path: Path) -> None:
    with serve(find_server(), tmp_path) as url:
        home = url.rpartition("/")[0].removeprefix("unix://")
        first = min(server_pids(home))
        os.kill(first, signal.SIGKILL)
    time.sleep(0.2)
    assert server_pids(home) == []


def test_a_long_folder_name_does_not_break_the_socket(tmp_path: Path) -> None:
    deep = tmp_path / ("a" * 90) / ("b" * 90)
    with serve(find_server(), deep) as url:
        assert answers(url)
        home = Path(url.removeprefix("unix://")).parent
    assert not home.exists()


def test_a_server_that_does_not_start_is_explained(tmp_path: Path) -> None:
    false = shutil.which("false")
    assert false
    with pytest.raises(OperatorError, match="did not start"), serve(Path(false), tmp_path):
        pass


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("redis://127.0.0.1:1/0", "no server answers"),
        ("unix:///nowhere/at/all", "no server answers"),
        ("nonsense", "cannot be read"),
        ("redis://127.0.0.1:port", "cannot be read"),
    ],
)
def test_a_wrong_url_is_the_operators_to_mend(tmp_path: Path, url: str, words: str) -> None:
    async def scenario() -> None:
        async with open_broker(url, tmp_path):
            pass

    with pytest.raises(OperatorError, match=words):
        asyncio.run(scenario())


def test_a_given_broker_is_checked_and_left_alone(tmp_path: Path) -> None:
    async def scenario(given: str) -> str:
        async with open_broker(given, tmp_path / "unused") as url:
            return url

    with serve(find_server(), tmp_path) as given:
        assert asyncio.run(scenario(given)) == given
        assert answers(given)
    assert not (tmp_path / "unused").exists()
