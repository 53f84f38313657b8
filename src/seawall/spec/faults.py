"""A fault in what the author wrote: where, what is wrong, what to do. All are raised at once.

Knows nothing of what a spec may hold.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from seawall.errors import SpecError

Path = tuple[str | int, ...]
FAULTS_SHOWN_MAX = 100
"""A file with more faults than this is not a spec; the rest is only counted."""


class Place(NamedTuple):
    """A line of a file, as people name it; line 0 is the file as a whole."""

    file: str
    line: int = 0

    def __str__(self) -> str:
        return f"{self.file}:{self.line}" if self.line else self.file


class Fault(NamedTuple):
    """One fault; `path` leads to the value through the keys of the file."""

    place: Place
    path: Path
    fault: str
    remedy: str = ""

    def __str__(self) -> str:
        where = "".join(f"{part}: " for part in (self.place, written(self.path)) if str(part))
        text = f"{where}{self.fault}."
        stop = "" if self.remedy.endswith("?") else "."
        return f"{text} {self.remedy}{stop}" if self.remedy else text


@dataclass
class Faults:
    """The faults seen so far, in one reading of a spec."""

    seen: list[Fault] = field(default_factory=list)

    def add(self, place: Place, path: Path, fault: str, remedy: str = "") -> None:
        """Note a fault, once."""
        new = Fault(place, path, fault, remedy)
        if new not in self.seen:
            self.seen.append(new)

    def raise_any(self) -> None:
        """Raise them all, in the order of the lines; nothing when there are none.

        Raises:
            SpecError: there is at least one fault.
        """
        if not self.seen:
            return
        ordered = sorted(self.seen, key=lambda f: (f.place.file, f.place.line))
        lines = [str(fault) for fault in ordered[:FAULTS_SHOWN_MAX]]
        if len(ordered) > FAULTS_SHOWN_MAX:
            lines.append(f"… and {len(ordered) - FAULTS_SHOWN_MAX} more faults.")
        raise SpecError(lines)


def written(path: Path) -> str:
    """`agents/researcher/tools/0`: a path as errors show it, safe for a terminal."""
    return "/".join(p if isinstance(p, str) and p.isprintable() else repr(p) for p in path)


def nearest(word: str, known: Iterable[str], kind: str = "") -> str:
    """A remedy: the nearest known word, or all of them when none is near."""
    import difflib  # late: a spec without a fault never needs it

    ordered = sorted(known)
    near = difflib.get_close_matches(word, ordered, n=1, cutoff=0.6)
    if near:
        return f"Did you mean {near[0]!r}?"
    listed = ", ".join(ordered[:20])
    return f"Known{f' {kind}' if kind else ''}: {listed}" if listed else "None are defined"
