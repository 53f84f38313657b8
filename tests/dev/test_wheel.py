"""`pip install seawall` alone is light: it writes, checks and plans, and says what `dev` lacks."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import zipfile
from email.parser import Parser
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SITE_MIB_MAX = 40
EXTRA = "extra == "


def run(*command: str | Path, **options: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # type: ignore[call-overload, no-any-return]
        [str(word) for word in command], capture_output=True, text=True, timeout=100, **options
    )


def ok(*command: str | Path, **options: object) -> None:
    done = run(*command, **options)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def uv() -> Path:
    path = Path(sys.executable).parent / "uv"
    if not path.exists():
        pytest.skip("the locked uv is not beside this Python; `make` puts it there")
    return path


@pytest.fixture(scope="module")
def installed(uv: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment with the wheel and what it depends on, at the lock's versions."""
    folder = tmp_path_factory.mktemp("wheel")
    ok(
        uv,
        "build",
        "--wheel",
        "--no-build-isolation",
        "--python",
        sys.executable,
        "-o",
        folder,
        ROOT,
    )
    wheel = next(folder.glob("seawall-*.whl"))
    with zipfile.ZipFile(wheel) as opened:
        name = next(n for n in opened.namelist() if n.endswith("/METADATA"))
        told = Parser().parsestr(opened.read(name).decode())
    wanted = [r for r in told.get_all("Requires-Dist", []) if EXTRA not in r]
    assert wanted
    assert all("==" in line for line in lock_lines())
    (folder / "wanted.in").write_text("\n".join(wanted) + "\n")
    limits = "\n".join(line.partition(" ")[0] for line in lock_lines())
    (folder / "limits.txt").write_text(limits + "\n")
    ok(uv, "venv", "--python", sys.executable, folder / "env")
    python = folder / "env" / "bin" / "python"
    into = (uv, "pip", "install", "--quiet", "--python", python)
    done = run(*into, "-r", folder / "wanted.in", "-c", folder / "limits.txt")
    if done.returncode and not os.environ.get("SEAWALL_NO_SKIP"):
        pytest.skip("the locked packages cannot be had here")
    assert done.returncode == 0, done.stderr
    ok(*into, "--no-deps", wheel)
    return folder / "env"


def lock_lines() -> list[str]:
    """`name==version` and markers of each locked package, without hashes."""
    text = (ROOT / "requirements.lock").read_text().replace("\\\n", " ")
    lines = (re.split(r"\s+--hash", line)[0] for line in text.splitlines())
    return [line.strip() for line in lines if line.strip()]


def test_it_is_small(installed: Path) -> None:
    site = next((installed / "lib").glob("python*/site-packages"))
    used = sum(f.stat().st_size for f in site.rglob("*") if f.is_file()) / 1024**2
    print(f"site-packages without extras: {used:.1f} MiB")
    assert used <= SITE_MIB_MAX


def test_it_helps_writes_checks_and_plans(installed: Path, tmp_path: Path) -> None:
    seawall = installed / "bin" / "seawall"
    for words in (["--help"], ["version"], ["init", "."], ["check"], ["plan"], ["plan", "--json"]):
        ok(seawall, *words, cwd=tmp_path)


@pytest.mark.parametrize(
    "words", [["dev", "--offline", "How long?"], ["call", "text", "measure", '{"text": "a b"}']]
)
def test_what_needs_the_embedded_engine_names_the_extra(
    words: list[str], installed: Path, tmp_path: Path
) -> None:
    seawall = installed / "bin" / "seawall"
    ok(seawall, "init", ".", cwd=tmp_path)
    done = run(seawall, *words, cwd=tmp_path)
    assert done.returncode == 3, done.stderr
    assert "pip install 'seawall[dev]'" in done.stderr
    assert "Traceback" not in done.stderr
