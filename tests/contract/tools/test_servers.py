"""MCP servers that are strangers: by command and by URL, well and badly behaved."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest
from toolbox import OpenTool, opener

from seawall.errors import OperatorError
from seawall.wire.profiles import CommandTool, UrlTool

pytestmark = pytest.mark.anyio


@pytest.fixture
def open_tool(tmp_path: Path) -> OpenTool:
    return opener(tmp_path)


SERVER = """
import asyncio, os, sys
from mcp.server import MCPServer
from mcp.server.mcpserver import Image
from mcp.server.mcpserver.exceptions import ToolError

app = MCPServer("stranger")

@app.tool()
async def read_echo(text: str) -> str:
    return text

@app.tool()
def picture() -> Image:
    return Image(data=b"x" * 2048, format="png")

@app.tool()
def fail() -> str:
    raise ToolError("no luck")

@app.tool()
def vanish() -> str:
    print("last gasp", file=sys.stderr, flush=True)
    os._exit(7)

@app.tool()
async def slow() -> str:
    await asyncio.sleep(60)
    return "late"

@app.tool()
def pid() -> int:
    return os.getpid()

if len(sys.argv) > 1:
    app.run("streamable-http", port=int(sys.argv[1]))
else:
    app.run("stdio")
"""


@pytest.fixture
def server(tmp_path: Path) -> Path:
    path = tmp_path / "stranger.py"
    path.write_text(SERVER)
    return path


def by_command(server: Path) -> CommandTool:
    return CommandTool(command=(sys.executable, str(server)))


async def test_a_server_by_command_is_listed_and_called(open_tool: OpenTool, server: Path) -> None:
    async with open_tool(by_command(server)) as tool:
        known = {f.name: f for f in await tool.list()}
        assert known["read_echo"].retry == "never"
        assert (await tool.call("read_echo", text="hé")).text == "hé"
        assert "image/png, 2 KiB: not shown" in (await tool.call("picture")).text
        failed = await tool.call("fail")
    assert failed.is_error
    assert "no luck" in failed.text


async def test_its_death_is_told_with_its_last_words_and_it_is_restarted(
    open_tool: OpenTool, server: Path
) -> None:
    async with open_tool(by_command(server)) as tool:
        died = await tool.call("vanish")
        assert died.is_error
        assert "it ended with exit code 7; its last words: last gasp" in died.text
        assert (await tool.call("read_echo", text="back")).text == "back"


async def test_a_slow_call_of_a_live_server_does_not_cost_its_process(
    open_tool: OpenTool, server: Path
) -> None:
    async with open_tool(by_command(server), timeout_seconds=2.0) as tool:
        await tool.list()
        before = (await tool.call("pid")).text
        assert (await tool.call("slow")).text == "slow timed out after 2 s"
        assert (await tool.call("pid")).text == before


@pytest.mark.parametrize(
    ("command", "fault"),
    [
        (("no-such-command-here",), "cannot run 'no-such-command-here': No such file"),
        (("sh", "-c", "echo broken >&2; exit 3"), "exit code 3; its last words: broken"),
        (("sh", "-c", "yes 'not mcp'"), "it wrote what is not MCP to its stdout: 'not mcp'"),
        (("sh", "-c", "kill -SEGV $$"), "it ended with SIGSEGV"),
    ],
)
async def test_a_server_that_does_not_speak_mcp_is_told(
    open_tool: OpenTool, command: tuple[str, ...], fault: str
) -> None:
    async with open_tool(CommandTool(command=command)) as tool:
        with pytest.raises(OperatorError) as caught:
            await tool.list()
    assert fault in str(caught.value)


async def test_a_busy_server_dies_with_a_bridge_that_is_killed(tmp_path: Path) -> None:
    (tmp_path / "busy.sh").write_text(f"echo $$ > {tmp_path}/pid\nwhile :; do :; done\n")
    holder = f"""
import asyncio
from pathlib import Path
from seawall.bridges.process import ServerProcess
async def main():
    async with ServerProcess(("sh", "{tmp_path}/busy.sh"), {{}}, Path("{tmp_path}")):
        await asyncio.sleep(60)
asyncio.run(main())
"""
    parent = subprocess.Popen([sys.executable, "-c", holder])  # noqa: ASYNC220
    try:
        pid = await until_written(tmp_path / "pid")
    finally:
        parent.kill()
        parent.wait()
    for _ in range(100):
        if not Path(f"/proc/{pid}/cmdline").exists():  # noqa: ASYNC240
            return
        await asyncio.sleep(0.05)
    pytest.fail("the server outlived kill -9 of its parent")


async def until_written(path: Path) -> str:
    until = time.monotonic() + 20
    while time.monotonic() < until:
        if path.exists() and (text := path.read_text().strip()):  # noqa: ASYNC240
            return text
        await asyncio.sleep(0.05)
    raise AssertionError(f"{path.name} was not written")


async def test_a_server_by_url_is_called_lost_and_found_again(
    open_tool: OpenTool, server: Path
) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    url = f"http://127.0.0.1:{port}/mcp"
    async with open_tool(UrlTool(url=url)) as tool:
        with pytest.raises(OperatorError, match="does not answer"):
            await tool.list()
        for _ in range(2):
            running = subprocess.Popen(  # noqa: ASYNC220
                [sys.executable, str(server), str(port)], stderr=subprocess.DEVNULL
            )
            try:
                await until_listening(port)
                assert "read_echo" in [f.name for f in await tool.list()]
                assert (await tool.call("read_echo", text="hi")).text == "hi"
            finally:
                running.kill()
                running.wait()
            gone = await tool.call("read_echo", text="hi")
            assert gone.is_error


async def until_listening(port: int) -> None:
    async with httpx.AsyncClient() as http:
        for _ in range(400):
            try:
                await http.get(f"http://127.0.0.1:{port}/")
            except httpx.TransportError:
                await asyncio.sleep(0.05)
            else:
                return
    raise AssertionError("the server did not start")
