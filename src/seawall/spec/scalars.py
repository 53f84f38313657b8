"""What an unquoted YAML scalar means, and whether YAML 1.1 and 1.2 agree on it.

Both versions are in daily use (PyYAML and Docker Compose read 1.1, newer tools 1.2), so a scalar on
which they differ is refused. Sources: https://yaml.org/type/ (1.1) and YAML 1.2.2, section 10.3.2.
"""

from __future__ import annotations

import re
from typing import NamedTuple

Scalar = str | int | float | bool | None

_SHARED: dict[str, bool | None] = {
    "": None, "~": None, "null": None, "Null": None, "NULL": None,
    "true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False,
}  # fmt: skip
_BOOL_11 = re.compile(r"y|Y|n|N|yes|Yes|YES|no|No|NO|on|On|ON|off|Off|OFF")
_INT = re.compile(r"[-+]?(0|[1-9][0-9]*)")
_FLOAT = re.compile(r"[-+]?([0-9]+\.[0-9]*|\.[0-9]+)([eE][-+][0-9]+)?")
_ODD_NUMBER = re.compile(
    r"[-+]?0b[01_]+|[-+]?0x[0-9a-fA-F_]+|[-+]?0o[0-7_]+"  # other bases
    r"|[-+]?[0-9][0-9_]*(:[0-5]?[0-9])+(\.[0-9_]*)?"  # base 60: 1:30 is 90 in 1.1
    r"|[-+]?(?=[0-9._]*[0-9])[0-9.][0-9_.]*([eE][-+]?[0-9]*)?"  # 010, 1_000, 1e3, 1.2.3, .5e
    r"|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)"
)
_DATE_11 = re.compile(r"[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}([Tt \t].*)?")
DIGITS_MAX = 18
"""More digits than this do not survive every reader's number type."""


class Reading(NamedTuple):
    """A scalar's value, and why it cannot stand unquoted (empty when it can)."""

    value: Scalar
    doubt: str = ""


def read_plain(text: str) -> Reading:
    """Read one unquoted scalar."""
    if text in _SHARED:
        return Reading(_SHARED[text])
    if _INT.fullmatch(text) and len(text) <= DIGITS_MAX:
        return Reading(int(text))
    if _FLOAT.fullmatch(text) and not _has_leading_zero(text):
        return Reading(float(text))
    if _BOOL_11.fullmatch(text):
        return Reading(text, "is true or false to some YAML readers and text to others")
    if _ODD_NUMBER.fullmatch(text):
        return Reading(text, "is read as different numbers, or as text, by different YAML readers")
    if _DATE_11.fullmatch(text):
        return Reading(text, "is a date to some YAML readers and text to others")
    if text in ("=", "<<"):
        return Reading(text, "has a special meaning to some YAML readers")
    return Reading(text)


def _has_leading_zero(text: str) -> bool:
    digits = text.lstrip("-+")
    return len(digits) > 1 and digits[0] == "0" and digits[1].isdigit()
