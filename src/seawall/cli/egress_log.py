"""What gateways say of requests to the outside, read from their logs and told in lines."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

GATEWAY = "gateway-"
OUTWARD = ("egress ", "model ", "service ")
"""Rules of requests that leave the mesh; the keeper and tools are inside it."""
REFUSED = "refused"
FORBIDDEN = 403
HOST = "via_upstream"
"""Envoy's detail of an answer that is the host's own."""
COLUMNS = ("time", "who", "run/task", "status", "sent", "received", "ms", "rule", "request")
WIDTHS = (12, 16, 20, 6, 9, 9, 7, 0, 0)
LARGE = 1024


def read(lines: Iterable[str]) -> Iterator[dict[str, Any]]:
    """The requests to the outside among a gateway's lines, and those that were refused."""
    for line in lines:
        found = _parsed(line)
        if found is not None and (found["denied"] or str(found["rule"]).startswith(OUTWARD)):
            yield found


def _parsed(line: str) -> dict[str, Any] | None:
    try:
        said = json.loads(line)
    except ValueError:
        return None  # Envoy's own words
    if not isinstance(said, dict) or "rule" not in said or "status" not in said or "door" in said:
        return None
    known = {key: (None if value == "-" else value) for key, value in said.items()}
    kind = "agent" if "agent" in known else "tool"
    keys = ("run", "task", "method", "host", "path", "rule", "status", "details", "received",
            "sent", "ms")  # fmt: skip
    return {
        "time": known.get("time"),
        kind: known.get(kind),
        **{key: known.get(key) for key in keys},
        "denied": _is_denied(known),
    }


def _is_denied(line: dict[str, Any]) -> bool:
    """Whether the gateway refused it; a host that says 403 did not."""
    if "method" not in line:  # a connection: one that a check cut, or a service's
        return bool(line["status"] == FORBIDDEN)
    if line["rule"] == REFUSED:
        return True
    details, status = str(line.get("details")), int(line["status"] or 0)
    return status >= 400 and not details.startswith((HOST, "upstream_reset", "no_healthy"))


def head() -> str:
    """The first line."""
    return _columns(COLUMNS)


def row(line: dict[str, Any]) -> str:
    """One request for a person. What a caller may have chosen is kept to one plain line."""
    who = str(line.get("agent") or line.get("tool"))
    task = "/".join(_short(line[key]) for key in ("run", "task") if line[key])
    path = line["path"] if line["path"] and line["method"] != "CONNECT" else ""
    connection = "cut:" if line["denied"] else "TCP"
    request = f"{line['method'] or connection} {line['host'] or '-'}{path}"
    why = f"  ({line['details']})" if line["denied"] and line["rule"] != REFUSED else ""
    # Bytes are told as the caller sees them; the gateway received what the caller sent.
    cells = (str(line["time"])[11:23], who, task or "-", str(line["status"] or "-"),
             _size(line["received"]), _size(line["sent"]), _whole(line["ms"]),
             str(line["rule"] or "-"), request + why)  # fmt: skip
    return _columns(tuple(_plain(cell) for cell in cells))


def _columns(cells: tuple[str, ...]) -> str:
    numbers = range(3, 7)
    padded = (
        cell.rjust(width) if n in numbers else cell.ljust(width)
        for n, (cell, width) in enumerate(zip(cells, WIDTHS, strict=True))
    )
    return "  ".join(padded).rstrip()


def _plain(text: str) -> str:
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)


def _short(identity: Any) -> str:
    return str(identity)[:9]


def _whole(value: Any) -> str:
    return "-" if value is None else str(value)


def _size(value: Any) -> str:
    if value is None:
        return "-"
    number = float(value)
    for unit in ("B", "KiB", "MiB"):
        if number < LARGE:
            return f"{number:.0f} {unit}" if unit == "B" else f"{number:.1f} {unit}"
        number /= LARGE
    return f"{number:.1f} GiB"
