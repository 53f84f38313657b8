"""Requirements are pinned, have hashes, and cannot change where packages come from."""

from __future__ import annotations

from pathlib import Path

import pytest

from seawall.errors import SpecError
from seawall.spec.imports import imported_beside
from seawall.spec.load import load
from seawall.spec.pylock import as_requirements
from seawall.spec.requirements import Pin, read_pins

HASH = f"--hash=sha256:{'a' * 64}"


def test_pins_hashes_markers_and_comments() -> None:
    text = f"""\
# by uv
six==1.17.0 \\
    {HASH} \\
    --hash=sha256:{"b" * 64}
    # via nothing
Foo_Bar[extra]==2.0 ; python_version < "3" {HASH}
zope.interface == 7.0   {HASH}   # a comment
"""
    pins, faults = read_pins(text, unhashed=False)
    assert faults == []
    assert pins == [Pin("six", "1.17.0"), Pin("zope-interface", "7.0")]


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("six", "is not pinned as name==version"),
        ("six>=1", "is not pinned as name==version"),
        ("six==1.*", "is not pinned as name==version"),
        ("six @ https://example.com/six.whl", "is not pinned as name==version"),
        ("./local", "is not pinned as name==version"),
        ("git+https://example.com/x", "is not pinned as name==version"),
        ("six==1.17.0", "six has no hash"),
        ("-e .", "the option -e is not allowed in requirements"),
        ("-r other.txt", "the option -r is not allowed in requirements"),
        ("--pre=x", "the option --pre is not allowed in requirements"),
        ("--pre", "the option --pre is not allowed in requirements"),
    ],
)  # fmt: skip
def test_what_is_refused(line: str, fault: str) -> None:
    _, faults = read_pins(f"# first\n{line}\n", unhashed=False)
    assert [(f.line, f.fault) for f in faults] == [(2, fault)]


def test_unhashed_is_still_pinned() -> None:
    pins, faults = read_pins("six==1.17.0\nfoo\n", unhashed=True)
    assert pins == [Pin("six", "1.17.0")]
    assert [f.fault for f in faults] == ["is not pinned as name==version"]


LOCK = f"""\
lock-version = "1.0"
created-by = "uv"

[[packages]]
name = "six"
version = "1.17.0"
marker = "python_version >= '3.8'"
sdist = {{ name = "six.tar.gz", hashes = {{ sha256 = "{"f" * 64}" }} }}
wheels = [
    {{ name = "b.whl", hashes = {{ sha256 = "{"b" * 64}", md5 = "0" }} }},
    {{ name = "a.whl", hashes = {{ sha256 = "{"a" * 64}" }} }},
]

[[packages]]
name = "Foo"
version = "2"
wheels = [{{ name = "foo.whl", hashes = {{ sha256 = "{"c" * 64}" }} }}]
"""


def test_a_projects_lock_is_read_as_lines_of_wheels() -> None:
    lines, faults = as_requirements("sub/pylock.toml", LOCK)
    assert faults == []
    assert lines == (
        f"six==1.17.0 ; python_version >= '3.8' {HASH} --hash=sha256:{'b' * 64}\n"
        f"Foo==2 --hash=sha256:{'c' * 64}\n"
    )
    assert read_pins(lines, unhashed=False) == ([Pin("foo", "2")], [])
    assert as_requirements("r.txt", LOCK) == (LOCK, [])


@pytest.mark.parametrize(
    ("path", "text", "line", "fault"),
    [
        ("pylock.toml", "lock-version = 1\n[[x", 1, "is not TOML"),
        ("pylock.toml", "", 1, "has lock-version none, not 1"),
        ("pylock.dev.toml", 'lock-version = "2.0"', 1, "has lock-version 2.0, not 1"),
        (
            "pylock.toml",
            LOCK + '[[packages]]\nname = "mine"\ndirectory = { path = "." }\n',
            19,
            "mine has no wheel",
        ),
        ("uv.lock", "version = 1", 1, "uv.lock is in its tool's own form"),
        ("a/pyproject.toml", "", 1, "pyproject.toml is in its tool's own form"),
    ],
)
def test_what_of_a_lock_is_refused(path: str, text: str, line: int, fault: str) -> None:
    _, faults = as_requirements(path, text)
    assert [found.line for found in faults] == [line]
    assert faults[0].fault.startswith(fault)
    assert faults[0].remedy


SPEC = """\
seawall: 1
name: m
main: a
defaults: {model: "anthropic:claude-sonnet-4-5"}
agents: {a: {instructions: A.}}
tools: {t: {functions: %s}}
"""


@pytest.mark.parametrize("path", ["../t.py", "/tmp/t.py", "x/../../t.py"])
def test_code_outside_the_specs_folder_is_refused(tmp_path: Path, path: str) -> None:
    (tmp_path / "seawall.yaml").write_text(SPEC % path)
    with pytest.raises(SpecError, match="tools/t/functions: is not below the spec's folder"):
        load(tmp_path / "seawall.yaml")


def test_check_names_the_line_of_the_requirements_file(tmp_path: Path) -> None:
    (tmp_path / "t.py").write_text("from seawall import tool\n@tool\ndef a() -> str: ...\n")
    (tmp_path / "r.txt").write_text("\nsix==1.17.0\n")
    (tmp_path / "seawall.yaml").write_text(SPEC % "t.py, requirements: r.txt")
    with pytest.raises(SpecError, match=r"r\.txt:2: tools/t/requirements: six has no hash"):
        load(tmp_path / "seawall.yaml")


def test_check_names_the_line_of_a_lock(tmp_path: Path) -> None:
    (tmp_path / "t.py").write_text("from seawall import tool\n@tool\ndef a() -> str: ...\n")
    unhashed = LOCK.replace(f'sha256 = "{"c" * 64}"', "")
    (tmp_path / "pylock.toml").write_text(unhashed)
    (tmp_path / "seawall.yaml").write_text(SPEC % "t.py, requirements: pylock.toml")
    with pytest.raises(SpecError, match="Foo has no hash"):
        load(tmp_path / "seawall.yaml")
    (tmp_path / "pylock.toml").write_text(LOCK)
    assert load(tmp_path / "seawall.yaml").tools


def test_an_unknown_image_names_the_nearest(tmp_path: Path) -> None:
    (tmp_path / "t.py").write_text("from seawall import tool\n@tool\ndef a() -> str: ...\n")
    (tmp_path / "seawall.yaml").write_text(SPEC % "t.py" + "images: {brocker: x}\n")
    with pytest.raises(SpecError, match=r"is not a known key\. Did you mean 'broker'"):
        load(tmp_path / "seawall.yaml")


def test_what_a_file_imports_from_beside_itself(tmp_path: Path) -> None:
    files = {
        "t.py": "import os, a\nfrom b import x\nimport seawall\ndef f():\n    import late",
        "a.py": "import t, c.d",
        "b/__init__.py": "from . import inner\nimport e",
        "b/inner.py": "",
        "c/d.py": "",
        "e.py": "not python",
        "late.py": "",
        "other.py": "",
        "seawall/__init__.py": "",
        "os/readme.md": "",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    found = [p.relative_to(tmp_path).as_posix() for p in imported_beside(tmp_path / "t.py")]
    assert found == ["a.py", "b", "c", "e.py", "late.py"]
