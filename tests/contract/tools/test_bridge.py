"""Who may see and call what; and what reaches the tool is what was checked."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx
import pytest
from toolbox import OpenTool, Tool, opener

from seawall.errors import OperatorError, Refused
from seawall.runtime.tool_client import ToolClient
from seawall.wire.profiles import FunctionsTool

pytestmark = pytest.mark.anyio


@pytest.fixture
def open_tool(tmp_path: Path) -> OpenTool:
    return opener(tmp_path)


@pytest.fixture
def source(tmp_path: Path) -> FunctionsTool:
    text = "from seawall import tool\n"
    for name in ("read_file", "read_all", "write_file"):
        text += f"@tool\ndef {name}(path: str) -> str:\n    return '{name} ' + path\n"
    (tmp_path / "files.py").write_text(text)
    return FunctionsTool(path="files.py")


async def test_an_agent_sees_and_calls_what_it_was_granted(
    open_tool: OpenTool, source: FunctionsTool
) -> None:
    async with open_tool(source) as tool:
        assert [f.name for f in await tool.list("reader")] == ["read_file", "read_all"]
        assert [f.name for f in await tool.list("stranger")] == []
        assert (await tool.call("read_all", "reader", path="x")).text == "read_all x"
        refused = await tool.call("write_file", "reader", path="x")
        unknown = await tool.call("format_disk", "reader", path="x")
        nothing = await tool.call("read_all", "stranger", path="x")
    assert refused.is_error
    expected = "box has no function 'write_file' for reader. It may call: read_file, read_all."
    assert refused.text == expected
    assert unknown.text == expected.replace("write_file", "format_disk")
    assert nothing.text.endswith("It was granted none.")


async def test_without_an_identity_nothing_is_answered(
    open_tool: OpenTool, source: FunctionsTool
) -> None:
    async with open_tool(source) as tool:
        with pytest.raises(Refused, match="who asks is unknown"):
            await tool.client.list({})
        with pytest.raises(Refused, match="who asks is unknown"):
            await tool.client.call("read_all", {"path": "x"}, {"x-seawall-agent": " "}, 5)


async def post(tool: Tool, body: str, extra: list[tuple[str, str]]) -> httpx.Response:
    sent = [
        ("content-type", "application/json"),
        ("accept", "application/json, text/event-stream"),
        *extra,
    ]
    return await tool.http.post("http://tool/mcp", content=body, headers=sent)


def old_call(name: str, arguments: str) -> str:
    params = f'{{"name": {json.dumps(name)}, "arguments": {arguments}}}'
    return f'{{"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {params}}}'


def text_of(answer: httpx.Response) -> Any:
    return answer.json()["result"]["content"][0]["text"]


async def test_an_identity_sent_twice_is_refused(
    open_tool: OpenTool, source: FunctionsTool
) -> None:
    twice = [("x-seawall-agent", "reader"), ("X-Seawall-Agent", "coder")]
    async with open_tool(source) as tool:
        answer = await post(tool, old_call("write_file", '{"path": "x"}'), twice)
    assert answer.status_code == 403


async def test_what_the_caller_says_of_itself_in_the_body_does_not_count(
    open_tool: OpenTool, source: FunctionsTool
) -> None:
    body = old_call("write_file", '{"path": "x"}').replace(
        '"params": {', '"params": {"_meta": {"x-seawall-agent": "coder"}, '
    )
    async with open_tool(source) as tool:
        answer = await post(tool, body, [("x-seawall-agent", "reader")])
    assert "no function 'write_file' for reader" in text_of(answer)


async def test_doubled_and_odd_cased_keys_reach_the_tool_once_as_checked(
    open_tool: OpenTool, source: FunctionsTool
) -> None:
    reader = [("x-seawall-agent", "reader")]
    doubled = old_call("read_all", '{"path": "first", "path": "second"}')
    renamed = doubled.replace('"name": "read_all"', '"name": "write_file", "name": "read_all"')
    cased = doubled.replace('"name": "read_all"', '"name": "read_all", "Name": "write_file"')
    hidden = doubled.replace('"name": "read_all"', '"name": "read_all", "name": "write_file"')
    async with open_tool(source) as tool:
        told = [text_of(await post(tool, body, reader)) for body in (doubled, renamed, cased)]
        caught = text_of(await post(tool, hidden, reader))
    assert told == ["read_all second"] * 3
    assert "no function 'write_file'" in caught


@pytest.mark.parametrize("body", ["{", "[]", '"x"', '{"jsonrpc": "2.0", "id": 1}', "[" * 100_000])
async def test_a_request_that_is_not_mcp_is_refused_and_the_bridge_lives(
    open_tool: OpenTool, source: FunctionsTool, body: str
) -> None:
    async with open_tool(source) as tool:
        answer = await post(tool, body, [("x-seawall-agent", "coder")])
        assert 400 <= answer.status_code < 500
        assert (await tool.call("read_all", path="x")).text == "read_all x"


async def test_other_paths_and_methods_are_refused_at_once(
    open_tool: OpenTool, source: FunctionsTool
) -> None:
    async with open_tool(source) as tool:
        assert (await tool.http.get("http://tool/mcp")).status_code == 405
        assert (await tool.http.get("http://tool/else")).status_code == 404
        assert (await tool.http.get("http://tool/health")).json() == {"tool": "box"}


async def test_a_bridge_that_cannot_be_reached_is_told() -> None:
    def lost(_: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused")

    async with httpx.AsyncClient(transport=httpx.MockTransport(lost)) as http:
        client = ToolClient(http, "http://gateway/tools/search/mcp")
        with pytest.raises(OperatorError, match=r"search: no answer: ConnectError refused\."):
            await client.list({})
