"""What is written is read back the same, by PyYAML (YAML 1.1) and by our strict reader (both)."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from seawall.render.yaml_text import Flow, Why, dump
from seawall.spec.scalars import read_plain

TEXT = st.text(st.characters(codec="utf-8"), max_size=40)
AMBIGUOUS = [
    "", " ", "~", "null", "Null", "yes", "No", "on", "OFF", "y", "n", "true", "1", "010", "0x1f",
    "1_000", "1e3", "1:30", "2024-01-01", ".inf", ".5", ".", "-", "- a", "a: b", "a #b", "#a", "*a",
    "&a", "!a", "@a", "`a", "%a", "|", ">", "[", "{", "a\nb", "a\n", "\n", " a", "a ", "a\tb", "=",
    "<<", "?", "a:", "'a'", '"a"', "\\", "é", "\u2028", "\x85", "\ufeff", "\x00", "nan", "5m",
    "...", "---", "._1", "._", "__", "._e1",
]  # fmt: skip


@pytest.mark.parametrize("text", AMBIGUOUS)
def test_ambiguous_text_stays_text(text: str) -> None:
    assert yaml.safe_load(dump({"key": text, "list": [text]})) == {"key": text, "list": [text]}
    assert yaml.safe_load(dump({"key": Flow([text])})) == {"key": [text]}


@given(TEXT)
def test_any_text_round_trips_in_every_place(text: str) -> None:
    document = {"key": text, "list": [text, {"in": text}], "flow": Flow({"a": text, text: [text]})}
    read = yaml.safe_load(dump(document))
    assert read == {**document, "flow": {"a": text, text: [text]}}


@given(TEXT)
def test_text_that_is_not_quoted_means_itself_in_every_version_of_yaml(text: str) -> None:
    line = dump({"key": text}).removeprefix("key: ").removesuffix("\n")
    if line == text:
        assert read_plain(text) == (text, "")


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**9), 10**9) | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=12,
)


@given(st.dictionaries(TEXT, VALUES, max_size=4))
def test_any_document_round_trips(document: dict[str, Any]) -> None:
    assert (yaml.safe_load(dump(document)) or {}) == document


@given(st.floats(allow_nan=False, allow_infinity=False, width=32))
def test_a_number_stays_that_number(number: float) -> None:
    read = yaml.safe_load(dump({"a": number}))["a"]
    assert float(read) == number
    assert isinstance(read, float)


def test_a_comment_hangs_over_its_value_and_changes_nothing() -> None:
    document = {"a": Why(1, "why\nand more"), "l": [Why({"b": 2}, "this one"), Why("c", "that")]}
    assert dump(document, "Head.") == (
        "# Head.\n# why\n# and more\na: 1\nl:\n  # this one\n  - b: 2\n  # that\n  - c\n"
    )


def test_what_fits_on_a_line_stays_on_one_and_means_the_same() -> None:
    value = {"a": {"b": [1, {"c": "d"}], "e": ["x" * 30, "y" * 30]}, "f": Why({"g": 1}, "Why.")}
    text = dump(value, width=40)
    assert yaml.safe_load(text) == {"a": value["a"], "f": {"g": 1}}
    assert "  b: [1, {c: d}]" in text.splitlines()
    assert "# Why." in text
