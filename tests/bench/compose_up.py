"""How long `up` takes until every agent can take work, against bare Python in the same topology.

The bare mesh has the same services, networks and limits, with a sleeping Python in each: what is
between the two is Seawall's own. Needs a Docker Engine; `make bench ARGS=compose_up`.
Sizes by the environment variable `AGENTS`, "1 10" by default.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import yaml

sys.path.insert(0, str(Path(__file__).parents[1] / "docker"))
import harness

ROUNDS = 3
BARE = "open('/tmp/seawall-health','w').write('9'*10); import time; time.sleep(1e6)"


def spec(agents: int) -> dict[str, str]:
    """A mesh of so many agents, with scripted models."""
    names = [f"a{n}" for n in range(agents)]
    made = {
        "seawall": 1,
        "name": "bench",
        "main": names[0],
        "defaults": {"model": "anthropic:claude-sonnet-4-5"},
        "agents": {name: {"instructions": "Answer."} for name in names},
        "script": "offline.yaml",
    }
    script = {"agents": {name: {"turns": [{"say": "yes"}]} for name in names}}
    return {"seawall.yaml": json.dumps(made), "offline.yaml": json.dumps(script)}


def bare(mesh: harness.Mesh, rendered: Path) -> Path:
    """The rendered project with a sleeping Python in every container."""
    document: dict[str, Any] = yaml.safe_load(rendered.read_text())
    document["name"] = f"{mesh.project}-bare"
    for service in document["services"].values():
        service.pop("build", None)
        service.pop("volumes", None)
        service["image"] = harness.BASE_IMAGE
        service["entrypoint"] = ["python3", "-c", BARE]
        service["healthcheck"] = {
            "test": ["CMD", "sh", "-c", '[ "$(date +%s)" -lt "$(cat /tmp/seawall-health)" ]'],
            "interval": "30s",
            "start_period": "60s",
            "start_interval": "500ms",
        }
    document.pop("volumes", None)
    path = rendered.with_name("bare.yaml")
    path.write_text(yaml.safe_dump(document))
    return path


def timed_up(file: Path, project: str) -> float:
    """Seconds until `docker compose up --wait` returns; everything is removed again."""
    base = ["compose", "--project-name", project, "--file", str(file)]
    began = time.monotonic()
    harness.docker(*base, "up", "--detach", "--wait", timeout=600)
    took = time.monotonic() - began
    harness.docker(*base, "down", "--volumes", "--timeout", "1", timeout=600)
    return took


def measure(agents: int, folder: Path) -> None:
    """Both, in turns, and their ratio."""
    mesh = harness.write(folder, spec(agents), f"bench-{agents}")
    try:
        mesh.seawall("up", "--offline", timeout=1800)
        rendered = next((folder / ".seawall").rglob("compose.yaml"))
        other = bare(mesh, rendered)
        harness.docker("compose", "--project-name", mesh.project, "--file", str(rendered), "down",
                       timeout=600)  # fmt: skip
        ours, theirs = [], []
        for _ in range(ROUNDS if agents < 40 else 1):
            theirs.append(timed_up(other, f"{mesh.project}-bare"))
            ours.append(timed_up(rendered, mesh.project))
        a, b = statistics.median(ours), statistics.median(theirs)
        words = f"up until ready, {agents:3} agents  {a:6.1f} s   bare Python {b:6.1f} s"
        print(f"{words}   {a / b:4.2f} x   (goal: 1.5)", flush=True)
    finally:
        mesh.remove()


def main() -> None:
    """Run for each size."""
    if reason := harness.missing():
        print(reason)
        return
    harness.make_base()
    for size in os.environ.get("AGENTS", "1 10").split():
        with tempfile.TemporaryDirectory(prefix="bench-") as folder:
            measure(int(size), Path(folder))


if __name__ == "__main__":
    main()
