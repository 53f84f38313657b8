"""`run_python`: sessions by task, limits in words, and what the sandbox cannot do."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from pathlib import Path

import pytest
from toolbox import OpenTool, opener

from seawall.bridges.backends import open_backend
from seawall.errors import OperatorError
from seawall.wire.profiles import BridgeProfile, SandboxTool

pytestmark = pytest.mark.anyio


@pytest.fixture
def open_tool(tmp_path: Path) -> OpenTool:
    return opener(tmp_path)


SMALL = SandboxTool(run_seconds_max=1.0, memory_bytes_max=64 * 1024**2)


async def test_variables_live_through_a_task_and_belong_to_it(open_tool: OpenTool) -> None:
    async with open_tool(SMALL, grants={"coder": ("*",), "other": ("*",)}) as tool:
        first = await tool.call("run_python", code="x = 20\nprint('set')")
        assert first.text == "set"
        assert (await tool.call("run_python", code="x + 1")).text == "=> 21"
        for stranger in ({"task": "t2"}, {"agent": "other"}):
            outcome = await tool.call("run_python", code="x", **stranger)
            assert outcome.is_error
            assert "NameError" in outcome.text


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("while True: pass", "stopped: time limit 1 s. The session was reset"),
        ("[0] * 10**9", "stopped: memory limit 64 MiB. The session was reset"),
        ("print('y' * 200_000)", "stopped: output limit 60 KiB"),
        ("while True: print('y' * 1000)", "stopped: output limit 60 KiB"),
    ],
)
async def test_each_limit_is_told_in_words_and_the_next_call_works(
    open_tool: OpenTool, code: str, words: str
) -> None:
    async with open_tool(SMALL) as tool:
        stopped = await tool.call("run_python", code=code)
        assert stopped.is_error
        assert words in stopped.text
        assert (await tool.call("run_python", code="1 + 1")).text == "=> 2"


@pytest.mark.parametrize(
    ("code", "error"),
    [
        ("import numpy", "ModuleNotFoundError"),
        ("import socket", "ModuleNotFoundError"),
        ("open('/etc/passwd').read()", "PermissionError"),
        ("import os\nos.listdir('/')", "PermissionError"),
        ("def g():\n    yield 1", "NotImplementedError"),
    ],
)
async def test_what_it_cannot_run_is_told_with_what_there_is(
    open_tool: OpenTool, code: str, error: str
) -> None:
    async with open_tool(SMALL) as tool:
        outcome = await tool.call("run_python", code=code)
    assert outcome.is_error
    assert error in outcome.text
    assert "no packages, files, network or processes" in outcome.text


async def test_mistakes_in_the_code_are_told_with_the_line(open_tool: OpenTool) -> None:
    async with open_tool(SMALL) as tool:
        syntax = await tool.call("run_python", code="def f(:")
        zero = await tool.call("run_python", code="print('before')\n1 / 0")
        wrong = await tool.call("run_python", program="1")
    assert "SyntaxError" in syntax.text
    assert zero.text.startswith("before\n")
    assert "line 2" in zero.text
    assert "ZeroDivisionError" in zero.text
    assert wrong.text == "run_python takes one argument: code, a text"


async def test_tasks_run_at_the_same_time_and_a_hung_one_is_ended(open_tool: OpenTool) -> None:
    long = SandboxTool(run_seconds_max=60.0)
    async with open_tool(long, timeout_seconds=1.0) as tool:
        began = time.monotonic()
        spinning = [
            tool.call("run_python", code="while True: pass", task=f"s{n}") for n in range(2)
        ]
        *hung, quick = await asyncio.gather(
            *spinning, tool.call("run_python", code="2 * 3", task="q")
        )
        assert [h.text for h in hung] == ["run_python timed out after 1 s"] * 2
        assert quick.text == "=> 6"
    assert time.monotonic() - began < 5


async def test_more_tasks_than_sessions_still_answer(open_tool: OpenTool) -> None:
    async with open_tool(SMALL) as tool:
        calls = [tool.call("run_python", code=f"{n}", task=f"t{n}") for n in range(40)]
        assert [o.text for o in await asyncio.gather(*calls)] == [f"=> {n}" for n in range(40)]


def test_a_shell_sandbox_is_refused_without_containers(tmp_path: Path) -> None:
    profile = BridgeProfile(tool="sh", source=SandboxTool(language="shell"))
    with pytest.raises(OperatorError, match="needs a container engine"):
        open_backend(profile, folder=tmp_path)


def test_a_process_that_used_the_sandbox_ends_cleanly() -> None:
    """pydantic-monty 1.4's asynchronous interface aborted the interpreter at exit."""
    code = """
import asyncio
from seawall.bridges.sandbox import SandboxBackend
from seawall.wire.profiles import SandboxTool
from seawall.wire.tools import Caller
async def main():
    async with SandboxBackend(SandboxTool(), 65536) as box:
        print((await box.call("run_python", {"code": "import time\\ntime.sleep(0.2)\\n1"},
                              Caller(agent="a"))).text)
asyncio.run(main())
"""
    for _ in range(4):
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
        assert (done.returncode, done.stdout) == (0, "=> 1\n")
