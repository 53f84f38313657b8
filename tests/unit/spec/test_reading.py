"""A file that cannot be read, or that YAML readers read differently, is refused with the line."""

import os
from pathlib import Path

import pytest

from seawall.errors import SpecError
from seawall.spec.load import load
from seawall.spec.reading import BYTES_MAX

from .conftest import HEAD, Faults

AGENT = HEAD + "agents: {a: {}}\n"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"", "seawall.yaml: is empty"),
        (b"# only a comment\n", "seawall.yaml: is empty"),
        (b"\x89PNG\0\0", "is a binary file"),
        (b"seawall: 1\nname: \xff\n", "seawall.yaml:2: is not valid UTF-8"),
        (b"[1, 2]", "seawall.yaml:1: must be a mapping"),
        (b"a: 1\nb: c: d\n", "seawall.yaml:2: is not valid YAML"),
        (b"a: 1\n---\nb: 2\n", "seawall.yaml:2: holds a second YAML document"),
        (b"a: \x01\n", "is not valid YAML"),
        ("a: x\u2028y\n".encode(), "U+2028"),
        (b"#" * (BYTES_MAX + 1), "is larger than 1 MiB"),
        (b"[" * 40 + b"]" * 40, "is nested deeper than 32 levels"),
        (b"[" * 200_000, "is nested deeper than 32 levels"),
        (b"? [a]\n: b\n", "a key must be text"),
        (b"a: *b\n", "the alias *b stands for nothing complete above it"),
        (b"a: &b [*b]\n", "the alias *b stands for nothing complete above it"),
        (b"a: &b x\n*b : y\n", "an alias cannot be a key"),
    ],
)
def test_what_cannot_be_read_is_one_clear_fault(faults: Faults, text: bytes, expected: str) -> None:
    (fault,) = faults(text)
    assert expected in fault


def test_a_missing_file_and_a_folder_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=r"none\.yaml: does not exist"):
        load(tmp_path / "none.yaml")
    with pytest.raises(SpecError, match="is a folder, not a file"):
        load(tmp_path)
    with pytest.raises(SpecError, match=r"cannot be read|does not exist"):
        load(tmp_path / ("x" * 300))


def test_a_pipe_is_refused_instead_of_waited_for(tmp_path: Path) -> None:
    pipe = tmp_path / "seawall.yaml"
    os.mkfifo(pipe)
    with pytest.raises(SpecError, match="is not a file"):
        load(pipe)


def test_aliases_are_followed_but_cannot_blow_up(faults: Faults) -> None:
    shared = "agents:\n  a: &x {replicas: 2}\n  b: *x\n"
    assert faults(HEAD + shared) == []
    lines = ["a: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"k{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 9)]
    (fault,) = faults("\n".join(lines))
    assert "holds more than 20000 values" in fault


def test_a_key_set_twice_is_refused_with_both_lines(faults: Faults) -> None:
    (fault,) = faults(AGENT + "name: other\n")
    assert fault.startswith("seawall.yaml:6: name: is set twice, first at ")
    assert "seawall.yaml:2" in fault


def test_merge_keys_are_refused(faults: Faults) -> None:
    found = faults(HEAD + "agents:\n  a: &x {replicas: 2}\n  b:\n    <<: *x\n")
    assert "seawall.yaml:8: agents/b/<<: merge keys are not allowed. Write the keys out." in found


def test_tags_are_refused_and_never_acted_on(faults: Faults) -> None:
    for tag in ("!!python/object/apply:os.abort []", "!!str x", "! x", "!!binary aGk="):
        assert any("has a tag" in f for f in faults(AGENT + f"description: {tag}\n")), tag


@pytest.mark.parametrize(
    "text",
    [
        *("yes", "no", "on", "off", "Yes", "NO", "y", "n"),
        *("010", "-010", "0o7", "0x1F", "0b11", "1_000", "08", "1:30", "1:30:00", "190:20:30.15"),
        *("1e3", "1.5e3", ".5e", "5e", "1.2.3", "00.5", ".inf", "-.inf", ".nan", "9" * 30),
        *("2024-01-01", "2024-1-1", "2024-01-01T10:00:00Z", "2024-01-01 10:00:00", "=", "<<"),
    ],
)
def test_what_yaml_versions_read_differently_must_be_quoted(faults: Faults, text: str) -> None:
    (fault,) = [f for f in faults(AGENT + f"description: {text}\n") if "Quote it" in f][:1]
    assert fault.startswith("seawall.yaml:6: description: ")
    assert faults(AGENT + f'description: "{text}"\n') == []
    assert faults(AGENT + f"description: '{text}'\n") == []


@pytest.mark.parametrize("text", ["10m", "1.5GiB", ".", "..", "a:b", "1.2.3-rc", "redis:7.0", "y1"])
def test_what_is_text_to_every_reader_needs_no_quotes(faults: Faults, text: str) -> None:
    assert faults(AGENT + f"description: {text}\n") == []


def test_a_key_that_is_no_text_must_be_quoted(faults: Faults) -> None:
    for key in ("1", "true", "~", "on", "010"):
        assert any("Quote it" in f for f in faults(HEAD + f"agents: {{a: {{}}, {key}: {{}}}}\n"))


def test_a_byte_order_mark_is_read_over(faults: Faults) -> None:
    assert faults(b"\xef\xbb\xbf" + AGENT.encode()) == []
