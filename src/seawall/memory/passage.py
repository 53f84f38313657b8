"""What memory holds and hands out: scopes, limits, passages, and the names they are kept under.

Pure values and checks; nothing here reads or writes a store.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any, Literal, get_args

from seawall.errors import Refused
from seawall.memory.embed import SPACE
from seawall.wire.tools import Caller

Scope = Literal["mine", "run", "mesh", "documents"]
"""Own entries; entries of the run at hand; entries of the whole mesh; the indexed documents."""
SCOPES: tuple[Scope, ...] = get_args(Scope)

TEXT_MAX = 4000
"""Characters of one entry."""
QUERY_MAX = 2000
"""Characters of one query."""
RESULTS_MAX = 20
"""Passages one recall may return."""
LISTED_MAX = 100
"""Entries one list may return."""
ENTRIES_MAX = 2000
"""Entries one agent may keep in one scope."""
RUNS_MAX = 100
"""Runs whose memory is kept; the oldest go first."""
PIECE = 900
"""Characters the embedder reads in one go; a longer entry is embedded in pieces and averaged."""


@dataclass(frozen=True, slots=True)
class Passage:
    """A piece of text that was found, and where it stands."""

    text: str
    source: str
    """A document's path, or `memory/<agent>` for what an agent remembered."""
    line_first: int
    line_last: int
    """Lines in the document; 0 for what was remembered."""
    score: float
    """Cosine similarity with the query, -1 to 1; 1 in a list."""
    id: str
    scope: str = "documents"
    heading: str = ""

    @property
    def place(self) -> str:
        """`docs/x.md:12-30`, or the bare source where there are no lines."""
        return (
            f"{self.source}:{self.line_first}-{self.line_last}" if self.line_first else self.source
        )


@dataclass(frozen=True, slots=True)
class Piece:
    """One piece of a document, ready for the index."""

    id: str
    text: str
    read: str
    """What the embedder reads: the text under its headings."""
    metadata: dict[str, str | int]


def collection_of(caller: Caller, scope: str) -> str:
    """Name the collection a scope means for this caller; digests, since names have rules there."""
    if scope in {"mesh", "documents"}:
        return f"{scope}-{SPACE}"
    owner = caller.agent if scope == "mine" else caller.run
    kind = "agent" if scope == "mine" else "run"
    return f"{kind}-{hashlib.sha256(owner.encode()).hexdigest()[:32]}-{SPACE}"


def entry_id_of(caller: Caller, text: str, scope: str) -> str:
    """Same agent, place and text, same id: a call repeated after a crash adds nothing."""
    key = "\0".join((caller.agent, collection_of(caller, scope), text))
    return f"m-{hashlib.sha256(key.encode()).hexdigest()[:16]}"


def passage_of(entry: str, text: str, about: Any, score: float, scope: str) -> Passage:
    """Build a passage from what the store keeps about it."""
    first, last = int(about.get("line_first", 0)), int(about.get("line_last", 0))
    heading = str(about.get("heading", ""))
    return Passage(text, str(about["source"]), first, last, round(score, 4), entry, scope, heading)


def check_text(name: str, text: str, most: int) -> None:
    """Refuse an empty or too long text."""
    if not text.strip():
        raise Refused("invalid", f"{name} is empty", "", "memory")
    if len(text) > most:
        fault = f"{name} has {len(text)} characters, at most {most} fit"
        raise Refused("too_long", fault, "Shorten or split it", "memory")


def check_count(limit: int, most: int) -> None:
    """Refuse a limit that is not in 1 to `most`."""
    if not 1 <= limit <= most:
        raise Refused("invalid", f"limit must be 1 to {most}, got {limit}", "", "memory")


def check_scope(caller: Caller, scope: str) -> None:
    """Refuse an unknown scope, and `run` outside a run."""
    if scope not in SCOPES:
        raise Refused("scope", f"no scope {scope[:80]!r}", f"One of: {', '.join(SCOPES)}", "memory")
    if scope == "run" and not caller.run:
        raise Refused("scope", "this call belongs to no run", "Use another scope", "memory")
