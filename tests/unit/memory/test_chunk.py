"""Documents are cut where they would be cut by hand, and every chunk knows its lines."""

from __future__ import annotations

from pathlib import PurePath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seawall.memory.chunk import CHUNK_MAX, cut, is_known

GUIDE = """# Guide

Words before.

## Install

Run this:

```sh
# not a heading
pip install it
```

## Empty

## Use

Ask it.
"""
PYTHON = '''"""A module."""

import os


def first() -> None:
    """Do one thing."""

    os.getpid()


class Second:
    x = 1
'''
WORD = st.text(alphabet="abcdé #`-\t", max_size=200)


def test_markdown_is_cut_at_headings_and_keeps_their_path() -> None:
    chunks = cut(PurePath("guide.md"), GUIDE)
    assert [(c.heading, c.line_first, c.line_last) for c in chunks] == [
        ("Guide", 1, 3),
        ("Guide > Install", 5, 12),
        ("Guide > Use", 16, 18),
    ]
    assert "# not a heading" in chunks[1].text


def test_a_definition_is_not_torn_from_its_body() -> None:
    filler = "\n".join(f"    x{n} = {n}" for n in range(60))
    text = PYTHON + filler + "\n\n\ndef last() -> int:\n    return 1\n"
    chunks = cut(PurePath("m.py"), text)
    assert len(chunks) > 1
    assert [c for c in chunks if "def last" in c.text and "return 1" in c.text]
    assert [c for c in chunks if "def first" in c.text and "os.getpid" in c.text]


def test_html_gives_what_a_reader_sees_with_lines_of_the_source() -> None:
    page = (
        "<html><head><style>p {color: red}</style></head>\n<body>\n<h1>Tides</h1>\n"
        "<p>The <b>harbour</b> dries &amp; fills.</p>\n<script>alert(1)</script>\n"
        "<h2>The\nwall</h2><p>Nine metres.</p></body></html>"
    )
    chunks = cut(PurePath("tides.html"), page)
    assert [(c.text, c.line_first, c.line_last) for c in chunks] == [
        ("Tides\nThe harbour dries & fills.", 3, 4),
        ("The\nwall\nNine metres.", 6, 7),
    ]
    assert chunks[1].heading.startswith("Tides > The")


def test_a_line_too_long_is_cut_at_spaces_and_keeps_its_number() -> None:
    text = "short\n" + "word " * 600
    chunks = cut(PurePath("long.txt"), text)
    assert max(len(c.text) for c in chunks) <= CHUNK_MAX
    assert {(c.line_first, c.line_last) for c in chunks[1:]} == {(2, 2)}
    assert sum(c.text.split().count("word") for c in chunks) == 600


@pytest.mark.parametrize("text", ["", "\n\n", "# Only a heading\n"])
def test_nothing_to_say_gives_no_chunk(text: str) -> None:
    assert cut(PurePath("x.md"), text) == []


def test_windows_line_ends_count_once() -> None:
    (chunk,) = cut(PurePath("x.txt"), "\r\none\r\ntwo\r\n")
    assert (chunk.line_first, chunk.line_last) == (2, 3)


@pytest.mark.parametrize("name", ["x.txt", "x.py", "x.yaml"])
@given(lines=st.lists(WORD, max_size=60))
def test_lines_cited_are_the_lines_themselves(name: str, lines: list[str]) -> None:
    chunks = cut(PurePath(name), "\n".join(lines))
    for chunk in chunks:
        assert chunk.text == "\n".join(lines[chunk.line_first - 1 : chunk.line_last])
        assert 0 < len(chunk.text) <= CHUNK_MAX
    covered = {n for c in chunks for n in range(c.line_first, c.line_last + 1)}
    assert covered >= {n for n, line in enumerate(lines, 1) if line.strip()}


@pytest.mark.parametrize(
    ("name", "known"),
    [("a.md", True), ("A.HTML", True), ("README", True), ("a.png", False), ("core", False)],
)
def test_kinds_are_told_by_name(name: str, known: bool) -> None:
    assert is_known(PurePath(name)) is known
