"""Shared by every test: one asyncio backend, and no silent skips in CI.

With `SEAWALL_NO_SKIP=1` a skipped test counts as a failure, so that a machine which lacks
something a test needs cannot look green. `make test` runs those that need Docker beside all
others: they mostly wait, and share one engine, so that they stay in one process.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Generator

import pytest


def pytest_configure(config: pytest.Config) -> None:
    """A temporary folder for each process: tests look there for what should be gone."""
    if worker := getattr(config, "workerinput", {}).get("workerid"):
        folder = tempfile.mkdtemp(prefix=f"{worker}-")
        os.environ["TMPDIR"] = tempfile.tempdir = folder
        config.add_cleanup(lambda: shutil.rmtree(folder, ignore_errors=True))


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What is run by one process: all that needs Docker, and each other module."""
    for item in items:
        together = "docker" if item.get_closest_marker("docker") else str(item.path)
        item.add_marker(pytest.mark.xdist_group(together))


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
