"""The README's commands for Docker run, in its order, on the mesh that `init` writes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import harness

ROOT = Path(__file__).parents[2]


def test_the_readmes_commands_for_docker_run(engine: None, tmp_path: Path) -> None:
    text = (ROOT / "README.md").read_text()
    block = text[text.index("    seawall doctor") :].split("\n\n")[0]
    shown = [line.split("  #")[0].strip() for line in block.splitlines()]
    assert [line.split()[1] for line in shown] == ["doctor", "up", "run", "plan", "down"]
    name = f"readme-{os.getpid()}"
    script = ["set -e", "seawall init .", f"sed -i 's/^name: .*/name: {name}/' seawall.yaml",
              "cat overlay >> seawall.yaml", *shown]  # fmt: skip
    (tmp_path / "overlay").write_text("\n" + harness.overlay())
    env = os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    done = subprocess.run(
        ["bash", "-c", "\n".join(script)],
        cwd=tmp_path, env=env, capture_output=True, text=True, timeout=850, check=False,
    )  # fmt: skip
    subprocess.run(["seawall", "down", "--volumes", "--yes"], cwd=tmp_path, env=env, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "5 words" in done.stdout
    assert "would change nothing" in done.stdout
