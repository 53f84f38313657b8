"""Guards the house's own rules: sizes, direction of imports, dead modules, words about every key.

An ordinary test that reads the source by `ast`; it imports only the spec, for its fields.
"""

from __future__ import annotations

import ast
import importlib
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "seawall"
FILE_LINES_MAX = 500
FUNCTION_LINES_MAX = 60

LEFT = ("spec", "plan", "render", "engine", "cli")
"""The one way data flows; each may import those before it."""
BASE = ("errors", "wire", "telemetry")
ALLOWED = {
    "errors": (),
    "wire": ("errors",),
    "telemetry": ("errors", "wire"),
    **{part: (*BASE, *LEFT[:at]) for at, part in enumerate(LEFT)},
    **dict.fromkeys(("keeper", "runtime", "bridges", "memory", "models", "containers"), BASE),
    "audit": (*BASE, "spec", "plan", "render", "engine"),
}
"""Part to the parts it may import, besides itself."""
BRINGS_TOGETHER = {
    "engine": ("keeper", "runtime", "bridges", "memory", "models"),
    "cli": ("keeper", "runtime", "bridges", "memory", "models", "mesh", "audit"),
    "runtime": ("models",),
    "spec": ("models",),
    "plan": ("models",),
    "containers": ("keeper", "runtime", "bridges", "memory", "models"),
}
"""Exceptions, each with its reason: the dev engine runs every part in one process and the command
line shows them; the loop asks `models` for its model; `check` asks `models` for a price; a
container's main program is where the parts in it meet."""
ENTRY_POINTS = {
    "seawall", "seawall.cli.main", "seawall.mesh", "seawall.__main__",
    "seawall.models.fake_providers", "seawall.bridges.leash", "seawall.containers.agent",
    "seawall.containers.bridge", "seawall.containers.keeper", "seawall.containers.models",
}  # fmt: skip
"""Reached by people, by tests or from other processes, rather than by an import."""


def modules() -> list[Path]:
    return sorted(p for p in SOURCE.rglob("*.py") if "template" not in p.parts)


def python_files() -> list[Path]:
    return [*modules(), *sorted((ROOT / "tests").rglob("*.py"))]


def name_of(path: Path) -> str:
    parts = path.relative_to(SOURCE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imported(path: Path) -> Iterator[tuple[str, int]]:
    """Every seawall module that `path` names in an import, late ones included."""
    package = name_of(path).split(".")
    package = package if path.name == "__init__.py" else package[:-1]
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*base, *(node.module.split(".") if node.module else [])])
            yield module, node.lineno
            yield from ((f"{module}.{alias.name}", node.lineno) for alias in node.names)


def ids(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("path", python_files(), ids=ids)
def test_files_and_functions_keep_to_their_sizes(path: Path) -> None:
    lines = path.read_text().splitlines()
    assert len(lines) <= FILE_LINES_MAX, f"{len(lines)} lines; stop at {FILE_LINES_MAX}"
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            assert length <= FUNCTION_LINES_MAX, f"{node.name} has {length} lines"


@pytest.mark.parametrize("path", modules(), ids=ids)
def test_every_module_says_what_lives_there(path: Path) -> None:
    if path.name == "__init__.py" and not path.read_text().strip():
        return
    assert ast.get_docstring(ast.parse(path.read_text())), "no module docstring"


@pytest.mark.parametrize("path", modules(), ids=ids)
def test_imports_go_one_way(path: Path) -> None:
    parts = name_of(path).split(".")
    if len(parts) == 1 or parts[1] not in ALLOWED:
        return  # the package's face (`seawall`, `seawall.mesh`) re-exports
    here = parts[1]
    allowed = {here, *ALLOWED[here], *BRINGS_TOGETHER.get(here, ())}
    known = {name_of(p).split(".")[1] for p in modules() if p.parent != SOURCE} | set(ALLOWED)
    wrong = [
        f"line {line}: {name}"
        for name, line in imported(path)
        if name.startswith("seawall.") and name.split(".")[1] in known - allowed
    ]
    assert not wrong, f"{here} must not import {wrong}"


def test_no_module_is_dead() -> None:
    """Each is imported by another, in the command table, run by `-m`, or an entry point."""
    everything = {name_of(path): path for path in modules()}
    used = set(ENTRY_POINTS)
    for name, path in everything.items():
        text = path.read_text()
        used |= {target for target, _ in imported(path) if target != name}
        used |= {m for m in re.findall(r'"(seawall(?:\.\w+)+)"', text) if m != name}
        used |= {m for m in re.findall(r"-m[\"', ]+(seawall(?:\.\w+)+)", text) if m != name}
    packages = {name for name, path in everything.items() if path.name == "__init__.py"}
    assert not sorted(set(everything) - used - packages)


def test_there_is_something_to_scan() -> None:
    assert len(modules()) > 5


OURS = re.compile(
    r"/(?:root|home/\w+|work)/\w"
    r"|(?<![\w.])(?:10|172\.(?:1[6-9]|2\d|3[01])|192\.168)(?:\.\d{1,3}){2,3}\b"
    r"|--(?:extra-)?index-url[ =]\w|--trusted-host|--find-links[ =]"
)
"""Paths of somebody's machine, private addresses, package indexes: none belongs in the tree."""
WHOLE_RANGES = re.compile(r'"(?:10\.0\.0|172\.16\.0|192\.168\.0)\.0", prefix_len')
"""All private addresses of a kind, as gateways refuse them."""
SCANNED = {".py", ".md", ".yaml", ".yml", ".toml", ".lock", ".txt", ".json", ""}


def committed() -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "--cached"], cwd=ROOT, capture_output=True, text=True
    )
    if listed.returncode:  # an sdist, say: no repository to ask
        return python_files()
    return [ROOT / name for name in listed.stdout.splitlines() if (ROOT / name).is_file()]


def test_no_two_test_modules_have_one_name() -> None:
    """Outside packages pytest imports them by name alone, and collects none when two meet."""
    loose = [f for f in (ROOT / "tests").rglob("test_*.py")
             if not (f.parent / "__init__.py").exists()]  # fmt: skip
    names = [file.name for file in loose]
    assert len(names) > 50
    assert sorted({name for name in names if names.count(name) > 1}) == []


def test_no_machine_or_host_of_ours_is_committed() -> None:
    found = []
    for path in committed():
        if path.suffix not in SCANNED or path == Path(__file__) or "attack" in path.parts:
            continue
        for number, line in enumerate(path.read_text(errors="replace").splitlines(), 1):
            line = WHOLE_RANGES.sub("", line)
            # Tests and docs may name private addresses: refusing those is what they are about.
            private = re.match(r"[\d.]+", match.group()) if (match := OURS.search(line)) else None
            if match and not (private and path.suffix in {".py", ".md"}):
                found.append(f"{path.relative_to(ROOT)}:{number}: {match.group()}")
    assert not found


@pytest.mark.parametrize("lock", ["requirements.lock", "requirements-uv.lock"])
def test_every_locked_package_has_an_exact_version_and_a_hash(lock: str) -> None:
    text = (ROOT / lock).read_text().replace("\\\n", " ")
    assert "://" not in text
    for line in filter(str.strip, text.splitlines()):
        assert re.match(r"[\w.\-\[\]]+==\S+", line), line[:80]
        assert "--hash=sha256:" in line, line[:80]


def spec_models() -> list[type]:
    from pydantic import BaseModel

    models: list[type] = []
    for path in sorted((SOURCE / "spec").glob("*.py")):
        module = importlib.import_module(name_of(path))
        models += [
            value
            for value in vars(module).values()
            if isinstance(value, type)
            and issubclass(value, BaseModel)
            and value.__module__ == module.__name__
        ]
    return models


def test_every_key_of_the_spec_is_described() -> None:
    silent = [
        f"{model.__name__}.{name}"
        for model in spec_models()
        for name, field in model.model_fields.items()  # type: ignore[attr-defined]
        if not field.description
    ]
    assert not silent


def test_the_reference_file_mentions_every_key_of_the_spec() -> None:
    reference = SOURCE / "spec" / "reference.yaml"
    if not reference.exists():
        assert not spec_models(), "a spec without reference.yaml"
        return
    text = reference.read_text()
    missing = [
        f"{model.__name__}.{name}"
        for model in spec_models()
        for name, field in model.model_fields.items()  # type: ignore[attr-defined]
        if not re.search(rf"\b{re.escape(field.alias or name)}\s*:", text)
    ]
    assert not missing
