"""A keeper whose broker has gone says so, and recovers when it is back."""

from __future__ import annotations

import time
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from keeper_harness import Meshes

from seawall.engine.broker import find_server, serve
from seawall.errors import OperatorError
from seawall.wire.messages import Take

pytestmark = pytest.mark.anyio


async def test_a_broker_that_went_away_is_a_503_and_no_traceback(
    tmp_path: Path, transport: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with AsyncExitStack() as stack:
        server = serve(find_server(), tmp_path)
        url = server.__enter__()
        try:
            mesh = await Meshes(url, transport, stack).open()
            assert (await mesh.door_http.get("/v1/health")).json()["ok"]
            chief = await mesh.raw("chief")
        finally:
            server.__exit__(None, None, None)
        began = time.monotonic()
        for response in (
            await mesh.door_http.get("/v1/health"),
            await mesh.door_http.post("/v1/runs", json={"input": "x"}),
            await chief.post("/v1/take", json={"replica": "one", "wait_seconds": 5}),
        ):
            assert response.status_code == 503
            assert response.json()["code"] == "broker_down"
        with pytest.raises(OperatorError):
            await (await mesh.agent("chief")).take(Take(replica="one"))
        assert time.monotonic() - began < 8
        assert "Traceback" not in caplog.text


async def test_a_keeper_without_a_broker_does_not_open(transport: str) -> None:
    async with AsyncExitStack() as stack:
        with pytest.raises(OperatorError, match="does not answer"):
            await Meshes("unix:///nowhere/socket", transport, stack).open()
