"""Results in words: cut to a limit with the model told so, sizes and durations readable."""

from __future__ import annotations

_MARK_BYTES = 80
"""Room for the mark itself; a text this little over its limit is left whole."""


def cut(text: str, bytes_max: int) -> str:
    """`text`, cut to `bytes_max` bytes of UTF-8 with a mark that says how much there was."""
    raw = text.encode("utf-8", "replace")
    if len(raw) <= bytes_max + _MARK_BYTES:
        return raw.decode()
    head = raw[:bytes_max].decode("utf-8", "ignore")
    return f"{head}\n[cut: {size(len(raw))}, showing first {size(bytes_max)}]"


def size(count: int) -> str:
    """`64 KiB`, `1.2 MiB`, `17 bytes`."""
    amount = float(count)
    for unit in ("bytes", "KiB", "MiB"):
        if amount < 1024:
            return f"{amount:.1f}".removesuffix(".0") + f" {unit}"
        amount /= 1024
    return f"{amount:.1f}".removesuffix(".0") + " GiB"


def clip(text: str, characters_max: int) -> str:
    """One line of at most so many characters, for a message."""
    line = " ".join(text.split())
    return line if len(line) <= characters_max else line[: characters_max - 1] + "…"
