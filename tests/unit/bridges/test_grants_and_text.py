"""Grants, cutting and the `@tool` mark: small pure pieces."""

from __future__ import annotations

import pytest

from seawall.bridges.grants import granted
from seawall.bridges.mark import ATTRIBUTE, Mark, tool
from seawall.bridges.text import clip, cut, size


@pytest.mark.parametrize(
    ("patterns", "function", "expected"),
    [
        (("*",), "anything", True),
        (("shell*",), "shell_run", True),
        (("shell*",), "Shell_run", False),
        (("shell*",), "my_shell", False),
        (("a*c",), "abbbc", True),
        (("[a-z]*",), "run", False),
        (("r?n",), "run", False),
        (("run",), "run\n", False),
        ((), "run", False),
    ],
)
def test_a_pattern_grants_by_star_alone(
    patterns: tuple[str, ...], function: str, expected: bool
) -> None:
    assert granted({"coder": patterns}, "coder", function) is expected


def test_an_agent_without_an_entry_is_granted_nothing() -> None:
    assert not granted({"*": ("*",)}, "coder", "run")


def test_a_long_text_is_cut_and_says_so() -> None:
    text = cut("x" * 1_300_000, 64 * 1024)
    assert text.endswith("\n[cut: 1.2 MiB, showing first 64 KiB]")
    assert text.startswith("x" * 65_536 + "\n")


def test_cutting_twice_changes_nothing() -> None:
    once = cut("é" * 100_000, 1001)
    assert cut(once, 1001) == once


def test_sizes_and_lines_are_readable() -> None:
    assert [size(5), size(1536), size(2 * 1024**3)] == ["5 bytes", "1.5 KiB", "2 GiB"]
    assert clip("a\n b  c" + "d" * 50, 10) == "a b cdddd…"


def test_the_mark_holds_retry_and_seconds() -> None:
    @tool(retry="safe", timeout="20m")
    def search() -> None: ...

    assert getattr(search, ATTRIBUTE) == Mark("safe", 1200.0)


@pytest.mark.parametrize("timeout", ["20", "x", "0s", -1])
def test_a_timeout_that_is_no_duration_is_refused(timeout: str | float) -> None:
    with pytest.raises(ValueError, match="timeout must be"):
        tool(timeout=timeout)


def test_an_unknown_retry_rule_is_refused() -> None:
    with pytest.raises(ValueError, match="retry must be one of safe, idempotent, never, ask"):
        tool(retry="often")  # type: ignore[call-overload]
