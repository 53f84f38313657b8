"""Reads one YAML file into values that remember their line. Strict: what could surprise is refused.

PyYAML's parser only (its events): tags, types and anchors are handled here. Every limit is named.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path as File
from typing import Any, NamedTuple

import yaml

from .faults import Faults, Path, Place
from .scalars import Scalar, read_plain

BYTES_MAX = 1024**2
DEPTH_MAX = 32
VALUES_MAX = 20_000
"""Values in one file, each alias counted with everything it stands for."""

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # libyaml is ten times faster


class Value(NamedTuple):
    """A value of a file and the line that sets it."""

    data: Scalar | tuple[Value, ...] | dict[str, Value]
    place: Place


class _Stop(Exception):  # noqa: N818 - not an error: the rest of the file cannot be read
    """A fault after which the rest of the file means nothing."""


def read(path: File, shown: str, faults: Faults) -> Value | None:
    """Read the file; None when it cannot be read as a mapping, with the fault noted."""
    here = Place(shown)
    text = read_text(path, here, faults)
    if text is None:
        return None
    builder = _Builder(shown, faults)
    try:
        builder.build(yaml.parse(text, Loader=_LOADER))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 0
        faults.add(Place(shown, line), (), f"is not valid YAML: {error.problem or error.context}")
        return None
    except (_Stop, yaml.YAMLError) as error:
        if not isinstance(error, _Stop):
            faults.add(here, (), "is not valid YAML: it holds a character that YAML does not allow")
        return None
    root = builder.root
    if root is None or root.data is None:
        faults.add(here, (), "is empty", "`seawall init` writes a working one")
        return None
    if not isinstance(root.data, dict):
        faults.add(root.place, (), "must be a mapping of keys to values at the top")
        return None
    return root


def read_text(path: File, here: Place, faults: Faults) -> str | None:
    """The file's text, or None with the fault noted: missing, no file, too large, binary."""
    try:
        if path.is_dir():
            faults.add(here, (), "is a folder, not a file")
            return None
        if not path.is_file():  # a pipe or device could be read without end
            hint = "Name another file, or let `seawall init` write one"
            faults.add(here, (), "does not exist" if not path.exists() else "is not a file", hint)
            return None
        with path.open("rb") as opened:
            raw = opened.read(BYTES_MAX + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "its name is not valid"
        faults.add(here, (), f"cannot be read: {reason}")
        return None
    if len(raw) > BYTES_MAX:
        faults.add(here, (), f"is larger than {BYTES_MAX // 1024**2} MiB")
        return None
    if b"\0" in raw:
        faults.add(here, (), "is a binary file, not text", "Save it as UTF-8 text")
        return None
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        faults.add(Place(here.file, line), (), "is not valid UTF-8", "Save it as UTF-8 text")
        return None
    for break_11 in ("\x85", "\u2028", "\u2029"):  # line breaks in YAML 1.1, text in 1.2
        if break_11 in text:
            line = text.count("\n", 0, text.index(break_11)) + 1
            fault = f"holds the invisible character U+{ord(break_11):04X}"
            faults.add(Place(here.file, line), (), fault, "Delete it: YAML readers differ on it")
            return None
    return text


@dataclass
class _Open:
    """A mapping or list whose end is not yet reached."""

    place: Place
    anchor: str | None
    items: dict[str, Value] | list[Value]
    before: int
    key: str | None = None
    key_place: Place | None = None


@dataclass
class _Builder:
    """Builds values from parser events, with a stack of its own: depth costs no recursion."""

    file: str
    faults: Faults
    root: Value | None = None
    stack: list[_Open] = field(default_factory=list)
    anchors: dict[str, tuple[Value, int]] = field(default_factory=dict)
    count: int = 0
    documents: int = 0

    def build(self, events: Iterable[Any]) -> None:
        for event in events:
            place = Place(self.file, event.start_mark.line + 1)
            if isinstance(event, yaml.DocumentStartEvent):
                self._document(place)
            elif isinstance(event, yaml.AliasEvent):
                self._alias(event.anchor or "", place)
            elif isinstance(event, yaml.ScalarEvent):
                self._scalar(event, place)
            elif isinstance(event, yaml.CollectionStartEvent):
                self._start(event, place)
            elif isinstance(event, yaml.CollectionEndEvent):
                self._end()

    def _path(self) -> Path:
        return tuple(
            (o.key if o.key is not None else "?") if isinstance(o.items, dict) else len(o.items)
            for o in self.stack
        )

    def _stop(self, place: Place, fault: str, remedy: str = "") -> None:
        self.faults.add(place, self._path()[:8], fault, remedy)
        raise _Stop

    def _document(self, place: Place) -> None:
        self.documents += 1
        if self.documents > 1:
            self._stop(place, "holds a second YAML document", "Remove the `---` line")

    def _alias(self, anchor: str, place: Place) -> None:
        if anchor not in self.anchors:
            self._stop(place, f"the alias *{anchor} stands for nothing complete above it")
        value, size = self.anchors[anchor]
        if self._awaits_key():
            self._stop(place, "an alias cannot be a key", "Write the key out")
        self._grow(size, place)
        self._put(Value(value.data, place), None, size)

    def _scalar(self, event: Any, place: Place) -> None:
        if event.tag is not None:
            self.faults.add(place, self._path(), "has a tag", "Remove the tag and quote the text")
        plain = event.style in (None, "")
        if self._awaits_key():
            self._key(event.value, plain, place)
            return
        self._grow(1, place)
        value, doubt = read_plain(event.value) if plain else (event.value, "")
        if doubt:
            self.faults.add(place, self._path(), f"{_short(event.value)} {doubt}", "Quote it")
        self._put(Value(value, place), event.anchor, 1)

    def _key(self, text: str, plain: bool, place: Place) -> None:
        opened = self.stack[-1]
        assert isinstance(opened.items, dict)  # noqa: S101 - only mappings await keys
        value, doubt = read_plain(text) if plain else (text, "")
        path = (*self._path()[:-1], text)
        if plain and text == "<<":
            self.faults.add(place, path, "merge keys are not allowed", "Write the keys out")
        elif doubt:
            self.faults.add(place, path, f"the key {_short(text)} {doubt}", "Quote it")
        elif not isinstance(value, str):
            self.faults.add(place, path, "a key must be text", "Quote it")
        if text in opened.items:
            first = opened.items[text].place
            self.faults.add(place, path, f"is set twice, first at {first}", "Keep one of them")
        opened.key, opened.key_place = text, place

    def _start(self, event: Any, place: Place) -> None:
        if self._awaits_key():
            self._stop(place, "a key must be text, not a list or mapping", "Quote it")
        if event.tag is not None:
            self.faults.add(place, self._path(), "has a tag", "Remove the tag")
        if len(self.stack) >= DEPTH_MAX:
            self._stop(place, f"is nested deeper than {DEPTH_MAX} levels")
        self._grow(1, place)
        items: dict[str, Value] | list[Value] = (
            {} if isinstance(event, yaml.MappingStartEvent) else []
        )
        self.stack.append(_Open(place, event.anchor, items, self.count - 1))

    def _end(self) -> None:
        opened = self.stack.pop()
        items = opened.items
        data = items if isinstance(items, dict) else tuple(items)
        self._put(Value(data, opened.place), opened.anchor, self.count - opened.before)

    def _put(self, value: Value, anchor: str | None, size: int) -> None:
        if anchor is not None:
            self.anchors[anchor] = (value, size)
        if not self.stack:
            self.root = value
            return
        opened = self.stack[-1]
        if isinstance(opened.items, list):
            opened.items.append(value)
        elif opened.key is not None and opened.key_place is not None:
            # The key's line, not that of the first child of a block below it.
            opened.items[opened.key] = Value(value.data, opened.key_place)
            opened.key = None

    def _awaits_key(self) -> bool:
        return (
            bool(self.stack)
            and isinstance(self.stack[-1].items, dict)
            and (self.stack[-1].key is None)
        )

    def _grow(self, size: int, place: Place) -> None:
        self.count += size
        if self.count > VALUES_MAX:
            fault = f"holds more than {VALUES_MAX} values, aliases written out"
            self._stop(place, fault, "Use fewer aliases")


def _short(text: str) -> str:
    return repr(text if len(text) <= 40 else text[:37] + "…")
