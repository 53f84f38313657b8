"""Everything that is rendered for Compose, reviewed like code. `SEAWALL_GOLDEN=write` writes it.

Seawall's own code stands for itself by a fixed digest: an edit of it changes no file here.
"""

from __future__ import annotations

import os
import random
from ipaddress import IPv4Network
from pathlib import Path

import pytest
import yaml

from seawall.plan.compile import compile_plan
from seawall.render import dockerfile
from seawall.render.compose import ComposeOptions, render
from seawall.render.dockerfile import Code
from seawall.render.files import Rendered
from seawall.spec import sources
from seawall.spec.load import load

HERE = Path(__file__).parent
CODE = {name: Code(("errors.py",), f"digest of {name}") for name in dockerfile.PROGRAMS}
WITHIN = IPv4Network("100.64.0.0/16")
SHAPES = {
    "small": HERE / "small" / "seawall.yaml",
    "team": HERE.parent / "plan" / "mesh" / "seawall.yaml",
}


@pytest.fixture(autouse=True)
def no_locks(monkeypatch: pytest.MonkeyPatch) -> None:
    """A lock's text is no part of a golden file: renewing one must not change these."""
    monkeypatch.setattr(dockerfile, "lock", lambda name: f"# the lock of {name}\n")


def rendered(file: Path, *, offline: bool = False, ca: str | None = None) -> Rendered:
    spec = load(file)
    plan = compile_plan(spec, sources.read(spec))
    options = ComposeOptions(f"seawall-{plan.name}", WITHIN, offline=offline, ca_bundle=ca)
    return render(plan, options, CODE)


def listing(made: Rendered) -> str:
    copies = [f"{c.target} <- {c.origin}: {c.source} {' '.join(c.only)}" for c in made.copies]
    return "\n".join(sorted([*made.files, *(line.rstrip() for line in copies)])) + "\n"


@pytest.mark.parametrize("shape", SHAPES)
def test_the_whole_project(shape: str) -> None:
    made = rendered(SHAPES[shape], offline=shape == "small", ca="site.pem")
    files = {**made.files, "FILES": listing(made)}
    golden = HERE / "golden" / shape
    # Long, and a list of its own with tests of its own.
    del files["seccomp.json"]
    if os.environ.get("SEAWALL_GOLDEN") == "write":
        for old in (p for p in golden.rglob("*") if p.is_file()):
            old.unlink()
        for name, text in files.items():
            path = golden / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
    found = {p.relative_to(golden).as_posix() for p in golden.rglob("*") if p.is_file()}
    assert found == set(files)
    for name, text in files.items():
        assert text == (golden / name).read_text(), name


@pytest.mark.parametrize("shape", SHAPES)
def test_the_same_bytes_for_any_order_of_keys(shape: str, tmp_path: Path) -> None:
    file = SHAPES[shape]
    shuffled = tmp_path / "mesh"
    shuffled.mkdir()
    for path in file.parent.iterdir():
        if path != file:
            (shuffled / path.name).symlink_to(path)
    first = rendered(file)
    for seed in range(5):
        data = mixed(yaml.safe_load(file.read_text()), random.Random(seed))
        (shuffled / "seawall.yaml").write_text(yaml.safe_dump(data, sort_keys=False))
        again = rendered(shuffled / "seawall.yaml")
        assert again.files == first.files
        assert listing(again) == listing(first)


def mixed(value: object, order: random.Random) -> object:
    if not isinstance(value, dict):
        return value
    keys = list(value)
    order.shuffle(keys)
    return {key: mixed(value[key], order) for key in keys}


def test_compose_reads_what_was_rendered() -> None:
    document = yaml.safe_load(rendered(SHAPES["team"]).files["compose.yaml"])
    for name, service in document["services"].items():
        assert service["cap_drop"] == ["ALL"], name
        assert service["read_only"] is True, name
        assert service["build"]["target"] == name
        assert service["user"].split(":")[0] not in ("0", "root"), name


def test_every_line_of_the_hardened_block_has_its_reason() -> None:
    text = rendered(SHAPES["team"]).files["compose.yaml"]
    block = text.split("x-hardened: &hardened\n")[1].split("services:\n")[0]
    lines = block.splitlines()
    keys = [n for n, line in enumerate(lines) if line.startswith("  ") and line[2] not in " #"]
    unexplained = [lines[n].strip() for n in keys if not lines[n - 1].lstrip().startswith("#")]
    assert unexplained == ['stop_grace_period: "10s"']
