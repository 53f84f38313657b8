"""Shared fixtures: one asyncio backend for every async test."""

import pytest


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"
