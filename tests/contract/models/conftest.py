"""A fake provider on a real loopback port, for each test its own."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
from loopback import served

from seawall.models.fake_plan import FakePlan
from seawall.models.fake_providers import app
from seawall.wire.profiles import ModelProfile

KEY = "sk-very-secret-0123456789"


class Served:
    """A running fake: its plan, and profiles that point at it."""

    def __init__(self, plan: FakePlan, port: int) -> None:
        self.plan = plan
        self.port = port

    def profile(self, provider: str, **values: object) -> ModelProfile:
        path = "" if provider == "anthropic" else "/v1"
        given = {
            "ref": f"{provider}:tester",
            "base_url": f"http://127.0.0.1:{self.port}{path}",
            "secret": "TEST_KEY",
            "timeout_seconds": 10.0,
            **values,
        }
        return ModelProfile.model_validate(given)


@asynccontextmanager
async def serving(plan: FakePlan) -> AsyncIterator[Served]:
    """Serve `plan` until the block ends."""
    async with served(app(plan)) as port:
        yield Served(plan, port)


class Clock:
    """Stands in for waiting: notes every wait and returns at once."""

    def __init__(self) -> None:
        self.waits: list[float] = []

    async def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(params=["anthropic", "openai"])
def provider(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def serve() -> Callable[[FakePlan], object]:
    return serving
