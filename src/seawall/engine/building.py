"""A build as `docker compose build` tells it: which image is done, which step, what went wrong."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from seawall.errors import OperatorError

from .docker import mended_by
from .progress import Progress

LINES_KEPT = 200
OUTPUT_LINES = 8
_STEP = re.compile(r"#\d+ \[(?:\S+ )?(\S+ +\d+/\d+)\]")
_NAMED = re.compile(r"#\d+ naming to (\S+)")
_FAILED = re.compile(r"target (\S+): failed to solve: (.*)")


def follow(lines: Iterable[str], wanted: dict[str, str], base: str, progress: Progress) -> None:
    """Tell of a build while it goes; `wanted` is service to image.

    Raises:
        OperatorError: it failed; says of which image, and with the failing step's own words.
    """
    said: list[str] = []
    done: set[str] = set()
    try:
        for line in lines:
            said = [*said[-LINES_KEPT:], line]
            new = _built(line, wanted) - done
            done |= new
            for service in sorted(new):
                progress.say(f"built {service} ({len(done)} of {len(wanted)})")
            if step := _STEP.match(line):
                progress.step(f"building, {len(done)} of {len(wanted)} images done: {step[1]}")
    except OperatorError as error:
        failed = any(_FAILED.search(line) for line in said)
        raise fault(said, base) if failed else error from None


def _built(line: str, wanted: dict[str, str]) -> set[str]:
    named = _NAMED.match(line)
    return {s for s, image in wanted.items() if named[1].endswith(image)} if named else set()


def fault(said: Sequence[str], base: str) -> OperatorError:
    """Why a build failed, from its last words."""
    text = "\n".join(said)
    failed = _FAILED.search(text)
    service, reason = (failed[1], failed[2]) if failed else ("", said[-1] if said else "no word")
    if "failed to resolve source metadata" in reason and base in reason:
        why = reason.rpartition(f"{base}: ")[2] or reason
        remedy = f"See whether `docker pull {base}` works; `images: {{base: …}}` names another"
        return OperatorError("images/base", f"{base} cannot be pulled: {why}", remedy)
    output = _output(said)
    detail = "".join(f"\n    {line}" for line in output)
    place = f"image of {service}" if service else "docker compose build"
    remedy = mended_by(text) or "Mend what it says and run it again: what is built stays built"
    return OperatorError(place, f"{reason.rstrip('.')}{detail}", remedy)


def _output(said: Sequence[str]) -> list[str]:
    """What the step that failed wrote itself: between two rules, after its own name."""
    try:
        start = next(i for i, line in enumerate(said) if line.startswith(" > ["))
    except StopIteration:
        return []
    after = said[start + 1 :]
    end = next((i for i, line in enumerate(after) if line.startswith("------")), len(after))
    return [line.strip()[:200] for line in after[:end] if line.strip()][-OUTPUT_LINES:]
