"""Durations and sizes mean one thing, or are refused."""

import pytest
from pydantic_core import PydanticCustomError

from seawall.spec.units import is_loopback, seconds, size_bytes


@pytest.mark.parametrize(
    ("text", "value"),
    [("10m", 600), ("1h30m", 5400), ("250ms", 0.25), ("1.5h", 5400), ("2d", 172800)],
)
def test_durations(text: str, value: float) -> None:
    assert seconds(text) == value


@pytest.mark.parametrize("text", ["10", 10, "10 m", "m", "-1s", "0s", "1w", "10M", "", None, "١s"])
def test_what_is_no_duration_is_refused(text: object) -> None:
    with pytest.raises(PydanticCustomError):
        seconds(text)


@pytest.mark.parametrize(
    ("text", "value"), [("512MiB", 2**29), ("1.5GiB", 3 * 2**29), ("1MB", 10**6), ("100B", 100)]
)
def test_sizes(text: str, value: int) -> None:
    assert size_bytes(text) == value


@pytest.mark.parametrize("text", ["512", 512, "512M", "512mib", "0B", "-1MiB", "", None, True])
def test_what_is_no_size_is_refused(text: object) -> None:
    with pytest.raises(PydanticCustomError):
        size_bytes(text)


def test_only_this_machine_is_loopback() -> None:
    assert all(map(is_loopback, ("localhost", "127.0.0.1", "::1", "a.localhost")))
    assert not any(map(is_loopback, ("localhost.example", "127.evil.example", "10.0.0.1", "")))
