"""YAML that people read: block style, comments that say why, strings quoted where readers differ.

Values are dicts, lists, strings, numbers and booleans; `Why` hangs a comment over one of them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

_PLAIN = re.compile(r"(\.{1,2}/|[A-Za-z/_])[A-Za-z0-9/_.@-]*( [A-Za-z0-9/_.@-]+)*")
_TAKEN = frozenset({"y", "n", "yes", "no", "on", "off", "true", "false", "null", "none", "inf",
                    "nan"})  # fmt: skip
"""Plain words that one YAML reader or another takes for something else than text."""
_ODD = re.compile(
    "[^\x20-\x7e\xa0-\u2027\u202a-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]"
)
"""Not printable, or a line's end to some readers (YAML 1.2.2, 5.1): written as an escape."""


@dataclass(frozen=True)
class Why:
    """A value with a comment above it."""

    value: Any
    comment: str


@dataclass(frozen=True)
class Flow:
    """A list or mapping of scalars that stays on one line."""

    value: Any


def dump(value: Mapping[str, Any], head: str = "", *, width: int = 0) -> str:
    """The document, with `head` as the comment at its top.

    What fits on a line of `width` characters stays on one.
    """
    top = [f"# {line}".rstrip() for line in head.splitlines()]
    folded = {key: _folded(item, len(key) + 2, 2, width) for key, item in value.items()}
    return "\n".join([*top, *_mapping(folded, 0)]) + "\n"


def _folded(item: Any, before: int, indent: int, width: int) -> Any:
    """The same value, with parts that fit on a line as `Flow`. `before`: what stands left of it."""
    if isinstance(item, Why):
        return Why(_folded(item.value, before, indent, width), item.comment)
    if not width or not isinstance(item, (Mapping, list, tuple)) or not item:
        return item
    if not _has_comment(item) and before + len(_flow(item)) <= width:
        return Flow(item)
    if isinstance(item, Mapping):
        return {
            key: _folded(one, indent + len(_scalar(key)) + 2, indent + 2, width)
            for key, one in item.items()
        }
    return [_folded(one, indent + 2, indent + 2, width) for one in item]


def _has_comment(item: Any) -> bool:
    if isinstance(item, Why):
        return True
    parts: Any = item.values() if isinstance(item, Mapping) else item
    return isinstance(item, (Mapping, list, tuple)) and any(_has_comment(one) for one in parts)


def _mapping(value: Mapping[str, Any], depth: int) -> Iterator[str]:
    pad = "  " * depth
    for key, item in value.items():
        if isinstance(item, Why):
            yield from (f"{pad}# {line}" for line in item.comment.splitlines())
            item = item.value
        yield from _entry(f"{pad}{_scalar(key)}:", item, depth + 1)


def _sequence(value: Sequence[Any], depth: int) -> Iterator[str]:
    pad = "  " * depth
    for item in value:
        if isinstance(item, Why):
            yield from (f"{pad}# {line}" for line in item.comment.splitlines())
            item = item.value
        if isinstance(item, Mapping) and item:
            lines = list(_mapping(item, depth + 1))
            first = next(i for i, line in enumerate(lines) if not line.lstrip().startswith("#"))
            yield from (line[2:] for line in lines[:first])
            yield f"{pad}- {lines[first].lstrip()}"
            yield from lines[first + 1 :]
        else:
            yield from _entry(f"{pad}-", item, depth + 1)


def _entry(head: str, item: Any, depth: int) -> Iterator[str]:
    if isinstance(item, Flow):
        yield f"{head} {_flow(item.value)}"
    elif isinstance(item, Mapping) and item:
        yield head
        yield from _mapping(item, depth)
    elif isinstance(item, (list, tuple)) and item:
        yield head
        yield from _sequence(item, depth)
    elif isinstance(item, str) and _in_block(item):
        yield f"{head} |{'' if item.endswith(chr(10)) else '-'}"
        yield from (
            "  " * depth + line if line else "" for line in item.removesuffix("\n").split("\n")
        )
    else:
        yield f"{head} {_flow(item)}"


def _flow(item: Any) -> str:
    if isinstance(item, Flow):
        return _flow(item.value)
    if isinstance(item, Mapping):
        return "{" + ", ".join(f"{_scalar(k)}: {_flow(v)}" for k, v in item.items()) + "}"
    if isinstance(item, (list, tuple)):
        return "[" + ", ".join(_flow(one) for one in item) + "]"
    return _scalar(item)


def _scalar(item: Any) -> str:
    if isinstance(item, str) and _PLAIN.fullmatch(item) and item.lower() not in _TAKEN:
        return item
    quoted = json.dumps(item, ensure_ascii=False)
    return _ODD.sub(lambda odd: f"\\u{ord(odd[0]):04x}", quoted)


def _in_block(text: str) -> bool:
    """Whether a text of several lines can stand as it is."""
    lines = text.removesuffix("\n").split("\n")
    plain = all(line == line.rstrip() and not _ODD.search(line) for line in lines)
    return "\n" in text and plain and bool(lines[-1]) and lines[0][:1] not in ("", " ")
