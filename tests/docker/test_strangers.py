"""A stranger's program under its own list of system calls: what it needs works, attacks do not."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import harness
import pytest
from intruder import attack

from seawall.render.seccomp import STRANGERS_PROFILE

HARDENED = ("--cap-drop", "ALL", "--security-opt", "no-new-privileges", "--read-only", "--user",
            "4711:4711", "--network", "none", "--tmpfs", "/tmp:size=8m,mode=1777")  # fmt: skip
NEEDED = {"sched_setaffinity": "EFAULT", "seccomp": "EINVAL", "shmget": "EINVAL",
          "setxattr": "EFAULT", "fchownat": "EFAULT", "openat2": "EINVAL", "mknodat": "EFAULT",
          "landlock_create_ruleset": "EINVAL"}  # fmt: skip
"""Of the attacks' calls those that programs do make, and what the kernel itself says of them."""
SPLICE = "EINVAL"
ORDINARY = """
import ctypes, multiprocessing, os, signal, socket, subprocess, sys, threading, time
os.mkfifo("/tmp/fifo")
os.chown("/tmp/fifo", os.getuid(), os.getgid())
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGALRM})
signal.alarm(1)
assert signal.sigwait({signal.SIGALRM}) == signal.SIGALRM
libc = ctypes.CDLL(None, use_errno=True)
kept = libc.shmget(0, 4096, 0o1600)
assert kept >= 0 and libc.shmctl(kept, 0, None) == 0
lock = multiprocessing.Semaphore(1)
with lock, socket.create_server(("127.0.0.1", 0)) as server:
    with socket.create_connection(server.getsockname()) as client:
        client.sendall(b"x")
thread = threading.Thread(target=time.sleep, args=(0.01,))
thread.start(); thread.join()
os.sched_setaffinity(0, os.sched_getaffinity(0))
subprocess.run([sys.executable, "-c", "import os; os.sync()"], check=True)
print("all done")
"""


@pytest.fixture(scope="module")
def profile(engine: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("strangers") / "seccomp.json"
    file.write_text(STRANGERS_PROFILE)
    return file


@pytest.fixture(scope="module")
def stranger(profile: Path) -> Iterator[str]:
    """A container under the list, of the base alone."""
    line = ("run", "--detach", *HARDENED, "--security-opt", f"seccomp={profile}",
            "--entrypoint", "sleep", harness.BASE_IMAGE, "600")  # fmt: skip
    container = harness.docker(*line).stdout.strip()
    try:
        yield container
    finally:
        harness.docker("rm", "--force", container)


def test_dangerous_calls_and_sockets_are_refused_to_a_stranger_too(stranger: str) -> None:
    said = attack(stranger, "calls")
    assert said.pop("splice") == SPLICE, "so that programs copy in another way"
    let = {name: code for name, code in said.items() if code not in ("EPERM", "ENOSYS", "killed")}
    assert set(let) == set(NEEDED)
    sockets = attack(stranger, "sockets")
    assert {name: code for name, code in sockets.items() if code == "done"} == {}


def test_ordinary_python_runs(stranger: str) -> None:
    done = harness.docker("exec", stranger, "python3", "-c", ORDINARY, check=False)
    assert (done.stdout, done.stderr) == ("all done\n", "")


def test_a_go_program_runs(profile: Path) -> None:
    """The docker command line itself: whoever runs this has one."""
    program = Path(str(shutil.which("docker"))).resolve()
    held = (*HARDENED, "--security-opt", f"seccomp={profile}")
    line = ("run", "--rm", *held, "--env", "HOME=/tmp", "--volume", f"{program}:/docker:ro",
            "--entrypoint", "/docker", harness.BASE_IMAGE)  # fmt: skip
    assert harness.docker(*line, "--version").stdout.startswith("Docker version")
    # Threads, a socket and a time limit, and nobody there.
    refused = harness.docker(*line, "--host", "tcp://127.0.0.1:1", "info", check=False, timeout=60)
    assert "127.0.0.1:1" in refused.stdout + refused.stderr
