"""Documents cut into passages that stand alone, each with its first and last line.

Pure: text in, chunks out. Cuts at headings, definitions and blank lines first, at lines where a
block is too long, and inside a line only where the line itself is.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from html.parser import HTMLParser
from itertools import chain
from pathlib import PurePath

CHUNKER_VERSION = 1
"""Raise it whenever the same text would be cut differently: indexed documents are then stale."""
CHUNK_MAX = 900
"""Characters of a chunk, about what the embedding model reads in one go."""

MARKDOWN = {".md", ".markdown", ".mdx"}
HTML = {".html", ".htm", ".xhtml"}
TEXT = {".txt", ".rst", ".adoc", ".org", ".csv", ".tsv", ".log", ".tex"}
CODE = {
    ".py", ".pyi", ".ts", ".tsx", ".js", ".jsx", ".mjs", ".go", ".rs", ".java", ".kt", ".swift",
    ".c", ".h", ".cc", ".cpp", ".hpp", ".cs", ".rb", ".php", ".sh", ".bash", ".sql", ".proto",
    ".yaml", ".yml", ".toml", ".json", ".ini", ".cfg", ".css", ".lua", ".r", ".scala", ".ex",
}  # fmt: skip
BARE = {"README", "LICENSE", "NOTICE", "CHANGELOG", "Makefile", "Dockerfile"}
"""Files without a suffix that are text."""

_FENCE = re.compile(r"\s{0,3}(`{3,}|~{3,})")
_HEADING = re.compile(r" {0,3}(#{1,6})\s+(.*?)\s*#*\s*$")
_DEFINITION = re.compile(
    r"(@|(export |default |pub |public |private |static |abstract |async )*"
    r"(def|class|func|fn|function|interface|type|struct|enum|trait|impl|const|module|package|"
    r"message|service|CREATE)\b|[\w.\"-]+\s*:(\s|$)|\[)"
)
"""A line that begins something in most languages; in YAML and TOML, a key of the first level."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """A passage: its text as it stands in the document, and where that is."""

    text: str
    line_first: int
    line_last: int
    heading: str = ""
    """The headings above it, outermost first, joined by ` > `."""


@dataclass(frozen=True, slots=True)
class Line:
    """One line of text, with its number in the file and what begins here, if anything does."""

    number: int
    text: str
    heading: tuple[str, ...]
    starts: bool = False


def is_known(path: PurePath) -> bool:
    """Tell whether this is a kind of file that can be cut."""
    if not path.suffix:
        return path.name in BARE
    return path.suffix.lower() in MARKDOWN | HTML | TEXT | CODE


def cut(path: PurePath, text: str) -> list[Chunk]:
    """Cut a document into chunks of at most `CHUNK_MAX` characters, by the kind its name says."""
    suffix = path.suffix.lower()
    if suffix in MARKDOWN:
        return list(_pack(_markdown(text), apart=True))
    if suffix in HTML:
        return list(_pack(_html(text), apart=True))
    if suffix in CODE:
        return list(_pack(_code(text), apart=False))
    lines = (Line(number, line, ()) for number, line in enumerate(_lines(text), 1))
    return list(_pack(lines, apart=False))


def _lines(text: str) -> list[str]:
    """Lines as editors count them: `str.splitlines` also breaks at form feeds and U+2028."""
    return text.replace("\r\n", "\n").replace("\r", "\n").split("\n")


def _markdown(text: str) -> Iterator[Line]:
    path: list[tuple[int, str]] = []
    fence = ""
    for number, line in enumerate(_lines(text), 1):
        mark = _FENCE.match(line)
        if mark and not fence:
            fence = mark[1]
        elif mark and mark[1].startswith(fence):
            fence = ""
        found = None if fence else _HEADING.match(line)
        if found:
            depth = len(found[1])
            path = [*(entry for entry in path if entry[0] < depth), (depth, found[2])]
        yield Line(number, line, tuple(title for _, title in path), starts=bool(found))


def _code(text: str) -> Iterator[Line]:
    blank = True
    for number, line in enumerate(_lines(text), 1):
        begins = bool(_DEFINITION.match(line))
        yield Line(number, line, (), starts=begins and blank)
        blank = not line.strip() or (blank and not begins)


def _html(text: str) -> Iterator[Line]:
    reader = _HtmlReader()
    reader.feed(text)
    reader.close()
    yield from reader.lines()


class _HtmlReader(HTMLParser):
    """Keeps what a reader of the page would see, under the lines of the source."""

    HIDDEN = frozenset({"script", "style", "template", "noscript", "svg"})
    INLINE = frozenset({"a", "abbr", "b", "code", "em", "i", "kbd", "mark", "q", "s", "small",
                        "span", "strong", "sub", "sup", "u", "var"})  # fmt: skip

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self._rows: list[tuple[int, str, tuple[str, ...], bool]] = []
        self._path: list[tuple[int, str]] = []
        self._hidden = ""
        self._depth = 0
        self._block = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:  # noqa: ARG002
        if not self._hidden and tag in self.HIDDEN:
            self._hidden = tag
        if re.fullmatch("h[1-6]", tag):
            self._depth = int(tag[1])
            self._path = [entry for entry in self._path if entry[0] < self._depth]
            self._path.append((self._depth, ""))
        self._block = self._block or tag not in self.INLINE

    def handle_endtag(self, tag: str) -> None:
        if tag == self._hidden:
            self._hidden = ""
        if re.fullmatch("h[1-6]", tag):
            self._depth = 0
        self._block = self._block or tag not in self.INLINE

    def handle_data(self, data: str) -> None:
        if self._hidden:
            return
        first = self.getpos()[0]
        for offset, part in enumerate(_lines(data)):
            words = " ".join(part.split())
            if words:
                self._add(first + offset, words)

    def _add(self, number: int, words: str) -> None:
        starts = False
        if self._depth and self._path:
            depth, title = self._path[-1]
            starts = not title
            self._path[-1] = (depth, f"{title} {words}".strip())
        path = tuple(title for _, title in self._path)
        if self._rows and not starts and not self._block and self._rows[-1][0] == number:
            _, before, _, started = self._rows.pop()
            self._rows.append((number, f"{before} {words}", path, started))
        else:
            self._rows.append((number, words, path, starts))
        self._block = False

    def lines(self) -> Iterator[Line]:
        for number, words, path, starts in self._rows:
            yield Line(number, words, path, starts)


def _pack(lines: Iterator[Line], *, apart: bool) -> Iterator[Chunk]:
    """Gather lines into chunks. `apart`: whatever starts something begins a chunk of its own."""
    held: list[Line] = []
    for block in _blocks(lines):
        begins = apart and block[0].starts
        if held and (begins or _size(held) + _size(block) > CHUNK_MAX):
            yield from _chunk(held)
            held = []
        if _size(block) > CHUNK_MAX:
            yield from _split(block)
        else:
            held += block
    yield from _chunk(held)


def _blocks(lines: Iterator[Line]) -> Iterator[list[Line]]:
    """Group lines into blocks; a block ends before what starts something and at a blank line."""
    block: list[Line] = []
    for line in lines:
        if block and (line.starts or (line.text.strip() and not block[-1].text.strip())):
            yield block
            block = []
        block.append(line)
    if block:
        yield block


def _split(block: list[Line]) -> Iterator[Chunk]:
    held: list[Line] = []
    for line in chain.from_iterable(map(_short, block)):
        if held and _size([*held, line]) > CHUNK_MAX:
            yield from _chunk(held)
            held = []
        held.append(line)
    yield from _chunk(held)


def _short(line: Line) -> Iterator[Line]:
    """A line too long for a chunk, in pieces cut at spaces where there are any."""
    rest = line.text
    while len(rest) > CHUNK_MAX - 1:
        at = rest.rfind(" ", CHUNK_MAX // 2, CHUNK_MAX - 1)
        at = at if at > 0 else CHUNK_MAX - 1
        yield Line(line.number, rest[:at], line.heading)
        rest = rest[at:]
    yield Line(line.number, rest, line.heading)


def _chunk(held: list[Line]) -> Iterator[Chunk]:
    """The lines as one chunk, blank ends cut off; a heading with nothing under it is none."""
    while held and not held[0].text.strip():
        held = held[1:]
    while held and not held[-1].text.strip():
        held = held[:-1]
    heading = held[0].heading if held else ()
    if not held or (heading and all(line.starts or not line.text.strip() for line in held)):
        return
    text = "\n".join(line.text for line in held)
    yield Chunk(text, held[0].number, held[-1].number, " > ".join(filter(None, heading)))


def _size(lines: list[Line]) -> int:
    return sum(len(line.text) + 1 for line in lines)
