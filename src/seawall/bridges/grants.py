"""Which functions of a tool an agent may see and call. Knows names and patterns, nothing else."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence


def granted(grants: Mapping[str, Sequence[str]], agent: str, function: str) -> bool:
    """Whether `agent` may call `function`; an agent without an entry may call nothing."""
    return any(matches(pattern, function) for pattern in grants.get(agent, ()))


def matches(pattern: str, function: str) -> bool:
    """Whether a name fits a pattern; `*` stands for any text, all else (case too) for itself."""
    # not fnmatch: `[` and `?` in a grant must never widen it
    return bool(re.fullmatch(".*".join(map(re.escape, pattern.split("*"))), function, re.DOTALL))
