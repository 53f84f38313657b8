"""hadolint finds nothing in the Dockerfile, but for the rules named here with their reasons."""

from __future__ import annotations

import platform
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

GOLDEN = Path(__file__).parents[2] / "golden" / "compose" / "golden"
IGNORED = {
    "DL3002": "stages that only build are root; every image that runs has a numeric user",
    "DL3008": "Debian's mirrors keep the newest version alone: one that is pinned goes away, and a "
    "security fix would wait for a release of Seawall",
    "DL3067": "a copy of the whole file system is one layer with every date set: it is the same "
    "whenever it is built",
}


@pytest.mark.parametrize("shape", ["small", "team"])
def test_the_rendered_dockerfile_is_clean(shape: str) -> None:
    beside = Path(sys.executable).with_name("hadolint")
    program = str(beside) if beside.is_file() else shutil.which("hadolint")
    if program is None:
        assert platform.machine() != "x86_64" or sys.platform != "linux", "it is in the lock"
        pytest.skip("hadolint has no wheel for this machine")
    ignored = [f"--ignore={rule}" for rule in IGNORED]
    done = subprocess.run(
        [program, "--no-color", *ignored, str(GOLDEN / shape / "Dockerfile")],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.stdout + done.stderr == ""
    assert done.returncode == 0
