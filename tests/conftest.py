"""Shared by every test: one asyncio backend, and no silent skips in CI.

With `SEAWALL_NO_SKIP=1` a skipped test counts as a failure, so that a machine which lacks something
a test needs cannot look green.
"""

from __future__ import annotations

import os
from collections.abc import Generator

import pytest


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def _skip_to_failure(report: pytest.TestReport | pytest.CollectReport) -> None:
    """Turn a skip into a failure; an expected failure (`xfail`) stays one."""
    if report.outcome != "skipped" or hasattr(report, "wasxfail"):
        return
    if not os.environ.get("SEAWALL_NO_SKIP"):
        return
    reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
    report.outcome = "failed"
    report.longrepr = f"{reason}\n(SEAWALL_NO_SKIP is set: here a skip is a failure)"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    _skip_to_failure(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    report = yield
    _skip_to_failure(report)
    return report
