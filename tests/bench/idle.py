"""What a mesh that nobody asks costs: processor time and memory of each kind of container.

From the containers' cgroups: `cpu.stat` and `memory.current` (cgroup 2), or `cpuacct.usage` and
`memory.usage_in_bytes` (1), the page cache that can be dropped left out as `docker stats` does.
Needs a Docker Engine on this machine; `make bench ARGS=idle`. Seconds by the environment variable
`SECONDS`, 300 by default.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "docker"))
import harness
from intruder import services

SETTLE_SECONDS = 30
"""After the start: images' pages are read, and agents import what their first task needs."""
GOALS = {"agent": (0.1, 120), "gateway": (None, 30)}
"""Percent of one processor and MiB, by the first word of a service's name."""
FILES = {
    "seawall.yaml": """\
seawall: 1
name: idle
main: lead
defaults: {model: "anthropic:claude-sonnet-4-5"}
agents:
  lead: {instructions: Count., tools: [text]}
tools:
  text: {functions: tools/text.py}
script: offline.yaml
""",
    "tools/text.py": """\
from seawall import tool


@tool
def measure(text: str) -> str:
    "How many words a text has."
    return f"{len(text.split())} words"
""",
    "offline.yaml": """\
agents:
  lead:
    turns:
      - call: [{tool: measure, args: {text: "{{ input }}"}}]
      - say: "{{ last[0].text }}"
""",
}


@dataclass(frozen=True)
class Cgroup:
    """A container's, on either version."""

    cpu: Path
    memory: Path

    @classmethod
    def of(cls, pid: int) -> Cgroup:
        """The cgroup of a process."""
        root, lines = Path("/sys/fs/cgroup"), Path(f"/proc/{pid}/cgroup").read_text().splitlines()
        paths = {name: path.lstrip("/") for _, name, path in (line.split(":", 2) for line in lines)}
        if (root / "cgroup.controllers").is_file():
            return cls(root / paths[""], root / paths[""])
        cpu = next(name for name in paths if "cpuacct" in name.split(","))
        return cls(root / "cpuacct" / paths[cpu], root / "memory" / paths["memory"])

    def cpu_seconds(self) -> float:
        """Processor time so far."""
        if (old := self.cpu / "cpuacct.usage").is_file():
            return int(old.read_text()) / 1e9
        return fields(self.cpu / "cpu.stat")["usage_usec"] / 1e6

    def memory_mib(self) -> float:
        """What it holds now."""
        old = self.memory / "memory.usage_in_bytes"
        file = old if old.is_file() else self.memory / "memory.current"
        cache = "total_inactive_file" if old.is_file() else "inactive_file"
        return (int(file.read_text()) - fields(self.memory / "memory.stat")[cache]) / 2**20


def fields(file: Path) -> dict[str, int]:
    """A file with a name and a number a line."""
    return {name: int(n) for name, n in map(str.split, file.read_text().splitlines())}


def measure(mesh: harness.Mesh, seconds: float) -> None:
    """Print a line a service."""
    pids = {name: int(harness.docker("inspect", "--format", "{{.State.Pid}}", c).stdout)
            for name, c in services(mesh).items()}  # fmt: skip
    groups = {name: Cgroup.of(pid) for name, pid in sorted(pids.items())}
    time.sleep(SETTLE_SECONDS)
    fresh = {name: group.memory_mib() for name, group in groups.items()}
    mesh.ask("one two three")
    time.sleep(SETTLE_SECONDS)
    before = {name: group.cpu_seconds() for name, group in groups.items()}
    began = time.monotonic()
    time.sleep(seconds)
    took = time.monotonic() - began
    for name, group in groups.items():
        percent = 100 * (group.cpu_seconds() - before[name]) / took
        cpu_max, mib_max = GOALS.get(name.partition("-")[0], (None, None))
        goals = [f"{cpu_max} %"] * (cpu_max is not None) + [f"{mib_max} MiB"] * bool(mib_max)
        goal = f"   (goal: {', '.join(goals)})" if goals else ""
        print(f"{name:20} {percent:6.3f} % of one processor   {fresh[name]:6.1f} MiB, "
              f"after a task {group.memory_mib():6.1f} MiB{goal}", flush=True)  # fmt: skip


def main() -> None:
    """Start a mesh, ask it once, and watch it do nothing."""
    if reason := harness.missing():
        print(reason)
        return
    harness.make_base()
    with tempfile.TemporaryDirectory(prefix="idle-") as folder:
        mesh = harness.write(Path(folder), FILES, f"bench-idle-{os.getpid()}")
        try:
            mesh.seawall("up", "--offline")
            measure(mesh, float(os.environ.get("SECONDS", "300")))
        finally:
            mesh.remove()


if __name__ == "__main__":
    main()
