"""Every command that the README and the tutorial show really runs, in the order they show it."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from seawall.cli.main import COMMANDS

ROOT = Path(__file__).parents[2]
NEEDS_A_KEY_OR_A_PERSON = re.compile(r"^seawall dev(?! --offline \")")
ON_DOCKER = re.compile(r"^seawall (doctor|up|run|down|plan --running)")
"""Run by tests/docker/test_documented_on_docker.py."""


def commands(page: str) -> list[str]:
    """The indented `seawall …` lines of a page, without their comments."""
    lines = (ROOT / page).read_text().splitlines()
    shown = [line.strip().split("  #")[0].strip() for line in lines if line.startswith("    ")]
    return [c for c in shown if c.startswith(("seawall ", "cd ")) and c != "seawall.yaml"]


@pytest.mark.parametrize("page", ["README.md", "docs/tutorial/first-mesh.md"])
def test_the_commands_shown_run(page: str, tmp_path: Path) -> None:
    shown = commands(page)
    assert any(c.startswith("seawall init") for c in shown)
    env = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    script = ["set -e"]
    script += [c for c in shown if not NEEDS_A_KEY_OR_A_PERSON.match(c) and not ON_DOCKER.match(c)]
    done = subprocess.run(
        ["bash", "-c", "\n".join(script)],
        cwd=tmp_path,
        env=env,
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "5 words" in done.stdout


def test_the_python_api_shown_in_the_readme_runs(tmp_path: Path) -> None:
    text = (ROOT / "README.md").read_text()
    block = text[text.index("    from seawall import Mesh") :].split("\n\n## ")[0]
    code = "\n".join(line[4:] for line in block.splitlines())
    seawall = [sys.executable, "-m", "seawall.cli.main"]
    subprocess.run([*seawall, "init", "."], cwd=tmp_path, check=True, capture_output=True)
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert "5 words" in done.stdout, done.stderr


def test_every_word_of_a_shown_command_is_known() -> None:
    known = {command.name for command in COMMANDS} | {"COMMAND", "--version", "--help"}
    for page in sorted(ROOT.glob("docs/**/*.md")):
        for command in commands(str(page.relative_to(ROOT))):
            if command.startswith("seawall "):
                assert shlex.split(command)[1] in known, page
