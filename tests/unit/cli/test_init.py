"""`seawall init`: what it writes, what it refuses, and that what it wrote works."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from seawall.cli.main import main

FILES = {
    ".gitignore", "offline.yaml", "prompts/counter.md", "prompts/editor.md", "seawall.yaml",
    "tools/text.py",
}  # fmt: skip


def files_in(folder: Path) -> set[str]:
    return {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()}


def test_init_writes_the_example_and_says_what_to_do_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["init", "shop"]) == 0
    assert files_in(tmp_path / "shop") == FILES
    assert 'cd shop && seawall dev --offline "' in capsys.readouterr().out


@pytest.mark.parametrize(
    ("folder", "name"), [("My Shop_2", "my-shop-2"), ("123", "my-mesh"), ("a" * 60, "a" * 40)]
)
def test_the_mesh_is_named_after_its_folder(tmp_path: Path, folder: str, name: str) -> None:
    assert main(["init", str(tmp_path / folder)]) == 0
    spec = yaml.safe_load((tmp_path / folder / "seawall.yaml").read_text())
    assert spec["name"] == name


def test_init_never_overwrites_and_then_writes_nothing_at_all(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "offline.yaml").write_text("mine")
    assert main(["init", str(tmp_path)]) == 3
    assert "is already there, and init never overwrites" in capsys.readouterr().err
    assert files_in(tmp_path) == {"offline.yaml"}
    assert (tmp_path / "offline.yaml").read_text() == "mine"


def test_a_folder_that_cannot_be_made_is_told_in_words(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    assert main(["init", str(tmp_path / "file" / "under")]) == 3
    assert "cannot be written" in capsys.readouterr().err


def test_what_init_wrote_answers_offline(tmp_path: Path) -> None:
    assert main(["init", str(tmp_path)]) == 0
    seawall = [sys.executable, "-m", "seawall.cli.main"]
    checked = subprocess.run([*seawall, "check"], cwd=tmp_path, capture_output=True, text=True)
    assert (checked.returncode, checked.stderr) == (0, "")
    asked = [*seawall, "dev", "--offline", "How long is this sentence?"]
    done = subprocess.run(asked, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "Your text has 5 words and 26 characters." in done.stdout
