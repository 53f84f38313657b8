"""A Docker Engine of a test's own, that it may stop and start: with its own data and network.

The same programs as the engine that runs already, whose containers and rules it must not touch:
hence a network namespace, which has no way out. Images come from the first engine.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import harness

NEW_NETWORK = 0x40000000  # CLONE_NEWNET
ANSWER_SECONDS_MAX = 60
PID_FILE = Path("/var/run/docker.pid")
LIBC = ctypes.CDLL(None, use_errno=True)


def missing() -> str | None:
    """Why there can be no second engine on this machine; None when there can."""
    if os.geteuid() != 0:
        return "needs root, to start a second Docker Engine"
    try:
        program()
    except (OSError, ValueError):
        return "needs the first Docker Engine on this machine, to start a second from its programs"
    return None


def program() -> tuple[str, dict[str, str]]:
    """The daemon that runs, and the environment in which it finds its helpers. Raises OSError."""
    process = Path("/proc") / str(int(PID_FILE.read_text()))
    words = (process / "environ").read_bytes().decode().split("\0")
    given = dict(word.split("=", 1) for word in words if "=" in word)
    return str((process / "exe").readlink()), {"PATH": given.get("PATH", os.environ["PATH"])}


class SecondEngine:
    """Stopped at first. Inside `chosen()` docker and `seawall` use it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._holder = subprocess.Popen(["unshare", "--net", "sleep", "infinity"])
        self._network = Path(f"/proc/{self._holder.pid}/ns/net")
        self._daemon: subprocess.Popen[bytes] | None = None
        own = Path("/proc/self/ns/net").readlink()
        while self._network.readlink() == own:
            time.sleep(0.01)
        # As the howto asks for: a namespace has its own.
        self.filter_packets(2)
        self._run("sysctl", "-qw", "net.ipv4.ip_forward=1")
        self._run("ip", "link", "set", "lo", "up")

    def filter_packets(self, value: int) -> None:
        """Set its network's reverse path filter."""
        self._run("sysctl", "-qw", f"net.ipv4.conf.all.rp_filter={value}")

    def _run(self, *command: str) -> None:
        subprocess.run([*self._inside(), *command], check=True)

    def _inside(self) -> list[str]:
        return ["nsenter", f"--net={self._network}", "--"]

    @property
    def host(self) -> str:
        """Where it listens."""
        return f"unix://{self._folder}/docker.sock"

    def start(self) -> None:
        """Start it; return when it answers."""
        daemon, environment = program()
        folder = self._folder
        line = [
            daemon, "--host", self.host, "--data-root", f"{folder}/data", "--exec-root",
            f"{folder}/run", "--pidfile", f"{folder}/docker.pid", "--config-file",
            f"{folder}/daemon.json", "--cgroup-parent", "/seawall-second-engine",
        ]  # fmt: skip
        (folder / "daemon.json").write_text("{}")
        with (folder / "log").open("ab") as log:
            self._daemon = subprocess.Popen(
                [*self._inside(), *line], stdout=log, stderr=log, env=environment,
                start_new_session=True,
            )  # fmt: skip
        until = time.monotonic() + ANSWER_SECONDS_MAX
        while harness.docker("--host", self.host, "info", check=False).returncode:
            if time.monotonic() > until or self._daemon.poll() is not None:
                raise AssertionError((folder / "log").read_text()[-2000:])
            time.sleep(0.2)

    def shut_down(self) -> None:
        """As an orderly end of the machine."""
        if self._daemon:
            self._daemon.terminate()
            self._daemon.wait(60)

    def cut_power(self) -> None:
        """End everything at once: the daemon, its helpers and all that runs in its containers."""
        for number in self._processes():
            with suppress(ProcessLookupError):
                os.kill(number, signal.SIGKILL)
        if self._daemon:
            self._daemon.wait(60)

    def _processes(self) -> list[int]:
        """The daemon's descendants; of one that is told to go first, nobody else's."""
        shims = self._named("containerd-shim")
        parents: dict[int, int] = {}
        for stat in Path("/proc").glob("[0-9]*/stat"):
            with suppress(OSError):
                number, _, rest = stat.read_text().partition(" (")
                parents[int(number)] = int(rest.rpartition(") ")[2].split()[1])
        found = {*shims, *([self._daemon.pid] if self._daemon else [])}
        while more := {n for n, parent in parents.items() if parent in found} - found:
            found |= more
        return sorted(found)

    def _named(self, name: str) -> set[int]:
        """Processes of that name whose command line holds this engine's folder."""
        found = set()
        for file in Path("/proc").glob("[0-9]*/cmdline"):
            with suppress(OSError):
                words = file.read_bytes().decode(errors="replace")
                if name in words.split("\0", 1)[0] and str(self._folder) in words:
                    found.add(int(file.parent.name))
        return found

    def take(self, *images: str) -> None:
        """Copy images from the first engine."""
        line = ["docker", "--host", self.host, "load", "--quiet"]
        with subprocess.Popen(["docker", "save", *images], stdout=subprocess.PIPE) as save:
            subprocess.run(line, stdin=save.stdout, check=True, stdout=subprocess.DEVNULL,
                           timeout=300)  # fmt: skip
        assert save.returncode == 0

    @contextmanager
    def chosen(self) -> Iterator[None]:
        """Have docker use this engine, and this thread and its children its network."""
        before = os.environ.get("DOCKER_HOST")
        os.environ["DOCKER_HOST"] = self.host
        with Path("/proc/self/ns/net").open() as own, self._network.open() as other:
            _enter(other.fileno())
            try:
                yield
            finally:
                _enter(own.fileno())
                os.environ.pop("DOCKER_HOST")
                if before is not None:
                    os.environ["DOCKER_HOST"] = before

    def remove(self) -> None:
        """Leave nothing of it."""
        self.cut_power()
        self._holder.kill()
        self._holder.wait(10)
        for line in Path("/proc/self/mounts").read_text().splitlines():
            if (place := line.split()[1]).startswith(str(self._folder)):
                subprocess.run(["umount", "--lazy", place], check=False)


def _enter(network: int) -> None:
    if LIBC.setns(network, NEW_NETWORK):
        raise OSError(ctypes.get_errno(), "setns")
