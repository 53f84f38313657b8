"""A file of `@tool` functions, called over MCP through its bridge: the good and the bad."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest
from toolbox import OpenTool, opener

from seawall.errors import OperatorError
from seawall.wire.profiles import FunctionsTool

pytestmark = pytest.mark.anyio


@pytest.fixture
def open_tool(tmp_path: Path) -> OpenTool:
    return opener(tmp_path)


GOOD = '''
import asyncio, ctypes, os, sys, threading, time
from seawall import tool

@tool
def read_add(a: int, b: int = 2) -> int:
    """Add two numbers."""
    print("a stray line, with {json}")
    os.write(1, b"and one from below\\n")
    return a + b

@tool(retry="safe", timeout="1s")
def spin() -> None:
    while True:
        pass

@tool(timeout=1.0)
def hold_the_gil() -> None:
    ctypes.PyDLL(None).sleep(30)

@tool
async def wait(seconds: float) -> str:
    await asyncio.sleep(seconds)
    return "waited"

@tool
def nap(seconds: float) -> str:
    time.sleep(seconds)
    return "slept"

@tool
def boom() -> None:
    raise ValueError(f"no such thing in {os.getcwd()}/data.txt")

@tool
def flood(count: int) -> str:
    for _ in range(200):
        print("y" * 10_000)
        print("z" * 10_000, file=sys.stderr)
    return "x" * count

@tool
def leave() -> None:
    raise SystemExit(3)

@tool
def die() -> None:
    os._exit(9)

@tool
def strange(kind: str) -> object:
    return {
        "bytes": b"abc", "none": None, "set": {1}, "object": threading.Lock(),
        "nan": [float("nan")], "dict": {"a": [1, None]}, "text": "plain",
        "surrogate": "\\ud800", "key": {(1, 2): 3},
    }[kind]

@tool
def environment() -> list[str]:
    return sorted(os.environ)
'''


@pytest.fixture
def source(tmp_path: Path) -> FunctionsTool:
    (tmp_path / "good.py").write_text(GOOD)
    return FunctionsTool(path="good.py")


async def test_functions_are_listed_with_schema_retry_and_time(
    open_tool: OpenTool, source: FunctionsTool
) -> None:
    async with open_tool(source) as tool:
        known = {info.name: info for info in await tool.list()}
    assert known["read_add"].description == "Add two numbers."
    assert known["read_add"].input_schema["required"] == ["a"]
    assert (known["spin"].retry, known["spin"].timeout_seconds) == ("safe", 1.0)
    assert (known["boom"].retry, known["boom"].timeout_seconds) == ("never", None)


async def test_prints_do_not_break_the_protocol(open_tool: OpenTool, source: FunctionsTool) -> None:
    async with open_tool(source) as tool:
        assert (await tool.call("read_add", a=40)).text == "42"
        flooded = await tool.call("flood", count=1_300_000)
        assert flooded.text.endswith("\n[cut: 1.2 MiB, showing first 64 KiB]")
        assert (await tool.call("read_add", a=1, b=1)).text == "2"


async def test_calls_run_at_the_same_time(open_tool: OpenTool, source: FunctionsTool) -> None:
    async with open_tool(source) as tool:
        await tool.list()
        began = time.monotonic()
        sleeps = [tool.call("nap", seconds=0.5), tool.call("wait", seconds=0.5)]
        outcomes = await asyncio.gather(*sleeps, *(tool.call("nap", seconds=0.5) for _ in range(8)))
    assert {o.text for o in outcomes} == {"slept", "waited"}
    assert time.monotonic() - began < 3


@pytest.mark.parametrize(
    ("function", "others"),
    [
        ("spin", "slept"),
        ("hold_the_gil", "the tool's server hung in another call and was ended with this one"),
    ],
)
async def test_a_hung_function_is_ended_and_others_go_on(
    open_tool: OpenTool, source: FunctionsTool, function: str, others: str
) -> None:
    async with open_tool(source) as tool:
        await tool.list()
        other = asyncio.create_task(tool.call("nap", seconds=2))
        await asyncio.sleep(0.3)
        began = time.monotonic()
        hung = await tool.call(function)
        assert hung.is_error
        assert hung.text == f"{function} timed out after 1 s"
        assert time.monotonic() - began < 3
        assert (await tool.call("read_add", a=2)).text == "4"
        assert (await other).text == others
        assert time.monotonic() - began < 12


async def test_the_tools_own_time_limit_holds(open_tool: OpenTool, source: FunctionsTool) -> None:
    async with open_tool(source, timeout_seconds=1.5) as tool:
        await tool.list()
        assert (await tool.call("nap", seconds=30)).text == "nap timed out after 1.5 s"


async def test_an_exception_is_told_by_type_and_message_without_paths(
    open_tool: OpenTool, source: FunctionsTool, tmp_path: Path
) -> None:
    async with open_tool(source) as tool:
        raised = await tool.call("boom")
        left = await tool.call("leave")
    assert raised.is_error
    assert raised.text == "ValueError: no such thing in data.txt"
    assert left.text == "SystemExit: 3"


async def test_a_server_that_dies_is_told_and_started_again(
    open_tool: OpenTool, source: FunctionsTool
) -> None:
    async with open_tool(source) as tool:
        died = await tool.call("die")
        assert died.is_error
        assert "failed during the call: it ended with exit code 9" in died.text
        assert (await tool.call("read_add", a=1)).text == "3"


@pytest.mark.parametrize(
    ("kind", "text", "bad"),
    [
        ("bytes", "3 bytes of binary data", True),
        ("none", "(the function returned nothing)", False),
        ("set", "[1]", False),
        ("object", "returned a _thread.lock that is not JSON", True),
        ("nan", '["NaN"]', False),
        ("dict", '{"a":[1,null]}', False),
        ("text", "plain", False),
        ("surrogate", "?", False),
        ("key", '{"1,2":3}', False),
    ],
)
async def test_any_result_is_text_or_words(
    open_tool: OpenTool, source: FunctionsTool, kind: str, text: str, bad: bool
) -> None:
    async with open_tool(source) as tool:
        outcome = await tool.call("strange", kind=kind)
    assert text in outcome.text
    assert outcome.is_error is bad
    if kind == "dict":
        assert outcome.structured == {"a": [1, None]}


async def test_the_child_inherits_no_secret(
    open_tool: OpenTool, source: FunctionsTool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-secret")
    async with open_tool(source) as tool:
        names = (await tool.call("environment")).text
    assert "PATH" in names
    assert "ANTHROPIC" not in names


async def test_wrong_arguments_are_told(open_tool: OpenTool, source: FunctionsTool) -> None:
    async with open_tool(source) as tool:
        outcome = await tool.call("read_add", a="x", z=1)
    assert outcome.is_error
    assert "a: Input should be a valid integer" in outcome.text
    assert "Arguments: a, b." in outcome.text


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("import seawall\n\n\nimport no_such_thing\n", "bad.py:4: ModuleNotFoundError: No module"),
        ("def f(:\n    pass\n", "bad.py:1: SyntaxError: "),
        ("x = 1\n", "bad.py: no function is marked @tool"),
        (
            "from seawall import tool\n@tool\ndef f(x):\n    pass\n",
            "bad.py:2: f: argument x has no type",
        ),
        ("raise SystemExit\n", "bad.py:1: SystemExit"),
        (None, "bad.py: there is no such file"),
    ],
)
async def test_a_file_that_cannot_be_served_says_where(
    open_tool: OpenTool, tmp_path: Path, text: str | None, fault: str
) -> None:
    if text is not None:
        (tmp_path / "bad.py").write_text(text)
    async with open_tool(FunctionsTool(path="bad.py")) as tool:
        with pytest.raises(OperatorError) as caught:
            await tool.list()
        outcome = await tool.call("f")
    assert fault in str(caught.value)
    assert str(tmp_path) not in str(caught.value)
    assert outcome.is_error
    assert fault in outcome.text


async def test_nothing_is_left_running(open_tool: OpenTool, tmp_path: Path) -> None:
    text = "import os, subprocess\nfrom seawall import tool\n@tool\ndef start() -> str:\n"
    text += (
        "    child = subprocess.Popen(['sleep', '300'])\n    return f'{os.getpid()} {child.pid}'\n"
    )
    (tmp_path / "spawn.py").write_text(text)
    async with open_tool(FunctionsTool(path="spawn.py")) as tool:
        pids = [int(word) for word in (await tool.call("start")).text.split()]
        assert all(map(alive, pids))
    for _ in range(100):
        if not any(map(alive, pids)):
            return
        await asyncio.sleep(0.05)
    pytest.fail("the tool's processes outlived their bridge")


def alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"
