"""Builds every role's image twice without cache and compares layers; sizes over the base."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tests" / "docker"))

TARGETS = ("broker", "keeper", "models", "gateway-agent-coder", "agent-coder", "tool-sandbox",
           "tool-memory")  # fmt: skip
GOAL_MB = 120


def main() -> None:
    """Print a line a role; an agent's image is to be at most 120 MB over its base."""
    import harness

    reason = harness.missing()
    if reason:
        print(reason)
        return
    harness.make_base()
    with tempfile.TemporaryDirectory() as folder:
        project = _rendered(Path(folder))
        base = _inspect(harness.BASE_IMAGE)["Size"]
        for target in TARGETS:
            began = time.monotonic()
            first, second = (_build(project, target) for _ in range(2))
            same = first["RootFS"]["Layers"] == second["RootFS"]["Layers"]
            over = (first["Size"] - base) / 1e6
            took = (time.monotonic() - began) / 2
            print(
                f"{target:22}{over:7.0f} MB over the base   "
                f"{'same layers' if same else 'LAYERS DIFFER'}   {took:.0f} s without cache"
            )


def _rendered(folder: Path) -> Path:
    import harness

    spec = ROOT / "examples" / "research-team" / "seawall.yaml"
    overlay = spec.with_name("seawall.bench-images.yaml")
    overlay.write_text(harness.overlay())
    line = [sys.executable, "-m", "seawall.cli.main", "render", "compose", "-f", str(spec),
            "--env", "bench-images", "--offline", "-o", str(folder / "project")]  # fmt: skip
    try:
        subprocess.run(line, check=True, stdout=subprocess.DEVNULL)
    finally:
        overlay.unlink()
    return folder / "project"


def _build(project: Path, target: str) -> dict[str, Any]:
    tag = f"seawall-bench-images:{target}"
    ca = ["--secret", f"id=ca,src={project}/ca.crt"] if (project / "ca.crt").is_file() else []
    line = ["docker", "build", "--quiet", "--no-cache", *ca, "--target", target, "--tag", tag]
    subprocess.run([*line, str(project)], check=True, stdout=subprocess.DEVNULL)
    made = _inspect(tag)
    subprocess.run(["docker", "image", "rm", tag], check=True, stdout=subprocess.DEVNULL)
    return made


def _inspect(image: str) -> dict[str, Any]:
    done = subprocess.run(["docker", "image", "inspect", image], check=True, capture_output=True)
    found: dict[str, Any] = json.loads(done.stdout)[0]
    return found
