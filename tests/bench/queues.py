"""Seawall's keeper beside raw Redis, streaq, taskiq and arq: one machine, one server, one run.

`make bench ARGS=queues`. Each rival runs in an environment of its own, made from its lock in
`tests/bench/rivals/` under `.seawall/bench/`: their dependencies do not agree. The settings of each
are in the first lines of its script there.
"""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from seawall.engine.broker import find_server, serve

HERE = Path(__file__).parent / "rivals"
ENVIRONMENTS = Path(".seawall/bench").resolve()
UV = Path(sys.executable).parent / "uv"
NOOPS = 300
LEASE_SECONDS = 3
QUIET_SECONDS, NUDGED_SECONDS = 20, 10


@dataclass
class Queue:
    """One contestant."""

    name: str
    script: str
    lock: str = ""
    """Empty: it runs in Seawall's own environment."""
    env: dict[str, str] = field(default_factory=dict)
    leases: bool = True


QUEUES = (
    Queue("raw redis", "with_redis.py", leases=False),
    Queue("seawall, 1 replica", "with_seawall.py"),
    Queue("seawall, 16 replicas", "with_seawall.py", env={"BENCH_REPLICAS": "16"}),
    Queue("streaq", "with_streaq.py", "streaq.lock"),
    Queue("taskiq-redis", "with_taskiq.py", "taskiq.lock"),
    Queue("arq", "with_arq.py", "arq.lock"),
)


def python_of(queue: Queue) -> str:
    """The interpreter that has the rival installed; raises SystemExit when it cannot be had."""
    if not queue.lock:
        return sys.executable
    lock = HERE / queue.lock
    digest = hashlib.sha256(lock.read_bytes() + sys.version.encode()).hexdigest()[:12]
    home = ENVIRONMENTS / f"{lock.stem}-{digest}"
    python = home / "bin" / "python"
    if not (home / "complete").exists():
        for command in (
            ["venv", "--quiet", "--clear", "--python", sys.executable, str(home)],
            ["pip", "sync", "--quiet", "--compile-bytecode", "--require-hashes", "--python",
             str(python), str(lock)],
        ):  # fmt: skip
            done = subprocess.run([UV, *command], capture_output=True, text=True, check=False)
            if done.returncode:
                lines = done.stderr.strip().splitlines()[-3:]
                raise SystemExit(
                    f"queues: {queue.name} could not be installed from {queue.lock}. "
                    "Is the package registry reachable? uv said:\n  " + "\n  ".join(lines)
                )
        (home / "complete").touch()
    return str(python)


class Stage:
    """One queue on an empty server of its own, with the processes it needs; gone afterwards."""

    def __init__(self, queue: Queue, stack: ExitStack, lease_seconds: int) -> None:
        self._queue, self._stack = queue, stack
        self._python = python_of(queue)
        self.folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
        self.broker = stack.enter_context(serve(find_server(), self.folder))
        self._env = {
            **os.environ, **queue.env, "BENCH_FOLDER": str(self.folder),
            "BENCH_LEASE": str(lease_seconds),
            "BENCH_NOOPS": str(NOOPS),
        }  # fmt: skip
        self.url = self.broker
        if queue.script == "with_seawall.py":
            self.url = str(self.folder / "k")
            self.start("keeper", self.broker, self.url)
            wait_for(Path(self.url), 20)

    def start(self, *words: str) -> subprocess.Popen[bytes]:
        """A process that is killed at the end."""
        command = [self._python, str(HERE / self._queue.script), *words]
        with (self.folder / "log").open("ab") as log:
            process = subprocess.Popen(command, env=self._env, stdout=log, stderr=log)
        self._stack.callback(end, process)
        return process

    def ask(self, role: str, where: str = "") -> str:
        """What an asker printed."""
        command = [self._python, str(HERE / self._queue.script), role, where or self.url]
        done = subprocess.run(
            command, env=self._env, capture_output=True, text=True, check=False, timeout=120
        )
        if done.returncode:
            raise SystemExit(f"queues: {self._queue.name}, {role}: {done.stderr[-800:]}")
        return done.stdout


def end(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait()


def wait_for(path: Path, seconds: float) -> bool:
    """Whether the file came to be in time."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if path.exists():
            return True
        time.sleep(0.005)
    return False


@contextmanager
def staged(queue: Queue, lease_seconds: int = 600) -> Iterator[Stage]:
    with ExitStack() as stack:
        yield Stage(queue, stack, lease_seconds)


def round_trip(queue: Queue) -> tuple[float, float]:
    """Milliseconds, median and 99th percentile."""
    with staged(queue) as stage:
        stage.start("worker", stage.url)
        took = json.loads(stage.ask("trips"))
    return took["p50"], took["p99"]


def in_process() -> tuple[float, float]:
    """The keeper's round trip with everything in one process."""
    with staged(Queue("seawall, in process", "with_seawall.py")) as stage:
        took = json.loads(stage.ask("in-process", stage.broker))
    return took["p50"], took["p99"]


def drained(queue: Queue) -> float:
    """No-ops a second: filled first, then one worker process; from its first to its last."""
    with staged(queue) as stage:
        stage.ask("noop")
        stage.start("worker", stage.url)
        if not wait_for(stage.folder / "last", 60):
            return float("nan")
        first, last = (float((stage.folder / name).read_text()) for name in ("first", "last"))
    return (NOOPS - 1) / (last - first)


def redelivered(queue: Queue) -> str:
    """Seconds from `kill -9` of the worker that holds a task until another has finished it."""
    with staged(queue, LEASE_SECONDS) as stage:
        workers = [stage.start("worker", stage.url) for _ in range(2)]
        asker = stage.start("hold", stage.url)
        if not wait_for(stage.folder / "held", 20):
            return "never taken"
        time.sleep(1.5)  # into the lease, with both workers up
        holder = int((stage.folder / "held").read_text())
        assert holder in [worker.pid for worker in workers]
        os.kill(holder, signal.SIGKILL)
        killed = time.time()
        again = stage.folder / "again"
        nudged = False
        if not wait_for(again, QUIET_SECONDS):
            nudged = True
            if asker.poll() is not None:
                stage.ask("echo")
            if not wait_for(again, NUDGED_SECONDS):
                return "lost"
        seconds = again.stat().st_mtime - killed
    return "only when another task arrives" if nudged else f"{seconds:.1f} s"


def main() -> None:
    """Print a line for each queue; ratios are against raw Redis, measured just before."""
    for queue in QUEUES:
        python_of(queue)  # before anything is measured: a missing registry is told at once
    show("seawall, in process", in_process(), round_trip(QUEUES[0]))
    for queue in QUEUES:
        base = round_trip(QUEUES[0])  # again beside each: a shared machine's load changes
        show(queue.name, round_trip(queue), base, f"{drained(queue):7.0f}/s",
             redelivered(queue) if queue.leases else "lost: no such thing")  # fmt: skip


def show(name: str, trip: tuple[float, float], base: tuple[float, float], *more: str) -> None:
    line = f"{name:21} p50 {trip[0]:7.2f} ms ({trip[0] / base[0]:6.1f} x)  p99 {trip[1]:7.2f} ms"
    print("   ".join((line, *more)), flush=True)


if __name__ == "__main__":
    main()
