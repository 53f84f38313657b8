"""How long an edit takes to reach a running mesh, against `docker build` of one changed file.

Edits a prompt, then a tool; `build` makes the image, `up` also puts it to work and waits until it
can take work. Needs a Docker Engine; `make bench ARGS=rebuild`.
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "docker"))
import harness

ROUNDS = 5
SPEC = """\
seawall: 1
name: rebuild
main: lead
defaults: {{model: "anthropic:claude-sonnet-4-5"}}
agents: {{lead: {{instructions: "Answer. {mark}", tools: [text]}}}}
tools: {{text: {{functions: text.py}}}}
script: offline.yaml
"""
TOOL = """\
from seawall import tool


@tool
def mark() -> str:
    "Says which it is."
    return {mark!r}
"""
SCRIPT = "agents: {lead: {turns: [{say: done}]}}\n"
GOAL_SECONDS = 3


def seconds(work: Callable[[], object]) -> float:
    """How long it took."""
    began = time.monotonic()
    work()
    return time.monotonic() - began


def plain(folder: Path, mark: str) -> float:
    """Docker alone: one changed file over the same base."""
    (folder / "text.py").write_text(TOOL.format(mark=mark))
    (folder / "Dockerfile").write_text(f"FROM {harness.BASE_IMAGE}\nCOPY text.py /text.py\n")
    return seconds(lambda: harness.docker("build", "--quiet", str(folder)))


def measure(mesh: harness.Mesh, other: Path) -> None:
    """Edit, build and up in turns; a line for each kind of edit."""
    alone = [plain(other, f"alone {n}") for n in range(ROUNDS)]
    for file, text in (("seawall.yaml", SPEC), ("text.py", TOOL)):
        built, up = [], []
        for n in range(ROUNDS):
            (mesh.folder / file).write_text(text.format(mark=f"built {n}"))
            built.append(seconds(lambda: mesh.seawall("build", "--offline")))
            (mesh.folder / file).write_text(text.format(mark=f"up {n}"))
            up.append(seconds(lambda: mesh.seawall("up", "--offline")))
        a, b, c = (statistics.median(of) for of in (built, up, alone))
        print(f"{file:13} edited: build {a:4.1f} s ({a / c:4.1f} x docker build, {c:3.1f} s; "
              f"goal {GOAL_SECONDS} s)   up until ready {b:4.1f} s", flush=True)  # fmt: skip


def main() -> None:
    """Bring a mesh of one agent and one tool up, edit it, take it down."""
    if reason := harness.missing():
        print(reason)
        return
    harness.make_base()
    files = {
        "seawall.yaml": SPEC.format(mark="first"),
        "text.py": TOOL.format(mark="first"),
        "offline.yaml": SCRIPT,
    }
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        other = Path(folder, "alone")
        other.mkdir()
        mesh = harness.write(Path(folder, "mesh"), files, f"bench-rebuild-{os.getpid()}")
        try:
            mesh.seawall("up", "--offline")
            measure(mesh, other)
        finally:
            mesh.remove()


if __name__ == "__main__":
    main()
