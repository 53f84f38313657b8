"""W3C trace context: whatever a run's agents ask for belongs to one trace, the run's.

The ids are made from the run's, so that every part knows them without asking. Source:
https://www.w3.org/TR/trace-context/ (level 1, `traceparent`).
"""

from __future__ import annotations

import hashlib
import re

TRACEPARENT = "traceparent"
NEVER_OUTSIDE = (TRACEPARENT, "tracestate", "baggage")
"""Headers that would tell servers outside what belongs together, or what somebody put in."""
_VALID = re.compile("00-([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")


def trace_id(run: str) -> str:
    """The trace of a run, 32 hexadecimal digits."""
    return _digits("run", run)[:32]


def traceparent(run: str, *span: str) -> str:
    """The header that names a span of a run by what it is (its task, its step)."""
    return f"00-{trace_id(run)}-{_digits('span', run, *span)[:16]}-01"


def joined(sent: str, run: str, task: str) -> str:
    """What an agent sent, if it is of its run's trace; the task's own span otherwise."""
    match = _VALID.fullmatch(sent)
    return sent if match and match[1] == trace_id(run) else traceparent(run, task)


def _digits(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()
