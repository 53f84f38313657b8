"""Measures a functions server's start and a call's time through its bridge, in process.

Run as `python tests/bench/tools.py`; prints one JSON object, times in milliseconds.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import tempfile
import time
from pathlib import Path

import httpx

from seawall.bridges.backends import open_backend
from seawall.bridges.bridge import Bridge
from seawall.runtime.tool_client import ToolClient
from seawall.wire.profiles import BridgeProfile, FunctionsTool, SandboxTool, ToolSource

WHO = {"x-seawall-agent": "bench", "x-seawall-task": "t"}
ADD = "from seawall import tool\n@tool\ndef add(a: int, b: int) -> int:\n    return a + b\n"
CALLS = 300


async def measure(
    source: ToolSource, folder: Path, function: str, given: dict[str, object]
) -> dict[str, float]:
    """Start to first answer, then the spread of many calls, one after another."""
    profile = BridgeProfile(tool="bench", source=source, grants={"bench": ("*",)})
    began = time.perf_counter()
    async with (
        Bridge(profile, open_backend(profile, folder=folder)) as bridge,
        httpx.AsyncClient(transport=httpx.ASGITransport(bridge.app)) as http,
    ):
        client = ToolClient(http, "http://tool/mcp")
        first = await client.call(function, given, WHO, 60)
        start = time.perf_counter() - began
        if first.is_error:
            raise RuntimeError(first.text)
        times = []
        for _ in range(CALLS):
            at = time.perf_counter()
            await client.call(function, given, WHO, 60)
            times.append(time.perf_counter() - at)
    cuts = statistics.quantiles(times, n=100)
    return {
        "start_ms": round(start * 1000, 1),
        "p50_ms": round(statistics.median(times) * 1000, 2),
        "p99_ms": round(cuts[98] * 1000, 2),
    }


async def main() -> None:
    """Both kinds of local tool; the SDK is imported once, by the first."""
    import mcp  # noqa: F401 - not part of a tool's start: a mesh imports it once

    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "add.py").write_text(ADD)
        functions = await measure(
            FunctionsTool(path="add.py"), Path(folder), "add", {"a": 1, "b": 2}
        )
        sandbox = await measure(SandboxTool(), Path(folder), "run_python", {"code": "1 + 2"})
    print(json.dumps({"functions": functions, "sandbox": sandbox}))


if __name__ == "__main__":
    asyncio.run(main())
