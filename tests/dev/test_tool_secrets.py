"""Secrets of tools in the embedded engine: they arrive where they belong, and show nowhere else."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from seawall.errors import OperatorError, SeawallError
from seawall.mesh import Mesh

pytestmark = pytest.mark.anyio

SECRET = "tok-0123456789-never-shown"
HEAD = (
    "seawall: 1\nname: m\nmain: a\ndefaults: {model: 'anthropic:claude-sonnet-4-5'}\n"
    "agents: {a: {instructions: Hi, tools: [t]}}\nscript: script.yaml\n"
)
SERVER = f"""
import sys, uvicorn
from mcp.server import MCPServer
from starlette.responses import PlainTextResponse

app, sent = MCPServer("wiki"), []

@app.tool()
def who() -> str:
    return f"you sent {{sent[-1]}}"

inner = app.streamable_http_app()

async def checked(scope, receive, send):
    if scope["type"] != "http":
        return await inner(scope, receive, send)
    given = dict(scope["headers"]).get(b"authorization", b"").decode()
    if given != "Bearer {SECRET}":
        refusal = PlainTextResponse(f"not you: {{given}}", 401)
        return await refusal(scope, receive, send)
    sent.append(given)
    await inner(scope, receive, send)

uvicorn.run(checked, host="127.0.0.1", port=int(sys.argv[1]), log_level="critical")
"""
READER = """
import os
from pathlib import Path
from mcp.server import MCPServer

app = MCPServer("reader")

@app.tool()
def look() -> str:
    file = Path(os.environ["SEAWALL_SECRETS_DIR"]) / "TOKEN"
    modes = oct(file.stat().st_mode)[-3:], oct(file.parent.stat().st_mode)[-3:]
    names = sorted(path.name for path in file.parent.iterdir())
    shown = [name for name, value in os.environ.items() if value == file.read_text()]
    return f"{len(file.read_text())} {modes} {names} {shown} {file.parent}"

app.run("stdio")
"""


@pytest.fixture
def wiki(tmp_path: Path) -> Iterator[str]:
    """An MCP server over HTTP that answers only who sends the secret."""
    (tmp_path / "wiki.py").write_text(SERVER)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    process = subprocess.Popen([sys.executable, str(tmp_path / "wiki.py"), str(port)])
    end = time.monotonic() + 60
    while time.monotonic() < end:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                break
        time.sleep(0.05)
    yield f"http://127.0.0.1:{port}/mcp"
    process.kill()
    process.wait()


async def asked(folder: Path, tool: str, function: str, secrets: str = "{}") -> tuple[str, str]:
    """How the run ended in words, and all that it showed on the way."""
    (folder / "seawall.yaml").write_text(f"{HEAD}tools: {{t: {tool}}}\nsecrets: {secrets}\n")
    (folder / "script.yaml").write_text(
        f"agents: {{a: {{turns: [{{call: [{{tool: {function}, args: {{}}}}]}}, "
        "{say: '{{ last[0].text }}'}]}}\n"
    )
    shown: list[str] = []
    said = ""
    try:
        async for event in Mesh.load(folder / "seawall.yaml").stream("hi", offline=True):
            shown.append(event.model_dump_json())
            if event.kind in ("run.done", "run.failed"):
                failure = event.data.get("failure") or {}
                said = str(event.data.get("output") or failure.get("reason"))
    except SeawallError as error:
        said = str(error)
    return said, "\n".join(shown)


AUTH = "auth: {header: Authorization, prefix: 'Bearer ', secret: TOKEN}"


async def test_a_server_by_url_gets_its_credential_and_its_echo_is_left_out(
    tmp_path: Path, wiki: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOKEN", SECRET)
    said, shown = await asked(tmp_path, f"{{url: '{wiki}', {AUTH}}}", "who")
    assert said == "you sent …"
    assert SECRET not in shown


async def test_a_refused_credential_is_told_without_its_value(
    tmp_path: Path, wiki: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOKEN", SECRET + "-old")
    said, shown = await asked(tmp_path, f"{{url: '{wiki}', {AUTH}}}", "who")
    assert wiki in said
    assert SECRET not in said + shown


@pytest.mark.parametrize("value", [f"{SECRET}\nmore", f"{SECRET}-é"])
async def test_a_value_that_cannot_be_a_header_is_refused_unquoted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    monkeypatch.setenv("TOKEN", value)
    said, _ = await asked(tmp_path, f"{{url: 'http://127.0.0.1:9/mcp', {AUTH}}}", "who")
    assert said.startswith("secrets/TOKEN: it cannot be a header")
    assert SECRET not in said


@pytest.mark.parametrize(
    "source", ["{env: OTHER}", "{file: token.txt}", "{command: [cat, token.txt]}"]
)
async def test_a_program_finds_its_secrets_as_files_that_are_gone_afterwards(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str
) -> None:
    monkeypatch.setenv("OTHER", SECRET)
    (tmp_path / "token.txt").write_text(SECRET + "\n")
    (tmp_path / "reader.py").write_text(READER)
    tool = f"{{command: ['{sys.executable}', reader.py], secrets: [TOKEN]}}"
    said, shown = await asked(tmp_path, tool, "look", f"{{TOKEN: {source}}}")
    facts, _, folder = said.rpartition(" ")
    assert facts == f"{len(SECRET)} ('600', '700') ['TOKEN'] []"
    assert not os.path.exists(folder)  # noqa: ASYNC240, PTH110
    assert SECRET not in shown


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("{env: NO_SUCH}", "NO_SUCH is not set. Set NO_SUCH."),
        ("{file: empty.txt}", "empty.txt is empty. Put the value into empty.txt."),
        ("{command: ['false']}", "ended with exit code 1. Run the command by hand"),
    ],
)
async def test_a_missing_secret_names_itself_its_readers_and_the_remedy(
    tmp_path: Path, source: str, words: str
) -> None:
    both = f"t: {{url: 'http://127.0.0.1:9/mcp', {AUTH}}}, "
    both += "u: {command: ['true'], secrets: [TOKEN]}"
    (tmp_path / "empty.txt").touch()
    (tmp_path / "script.yaml").write_text("agents: {a: {turns: [{say: hi}]}}\n")
    spec = tmp_path / "seawall.yaml"
    spec.write_text(f"{HEAD}tools: {{{both}}}\nsecrets: {{TOKEN: {source}}}\n")
    with pytest.raises(OperatorError) as raised:
        await Mesh.load(spec).run("hi", offline=True)
    said = str(raised.value)
    assert said.startswith("secrets/TOKEN: gateway of tool/t and tool/u cannot have it: ")
    assert words in said
    assert raised.value.exit_code == 3


async def test_what_is_not_enforced_is_said_once_at_the_start(tmp_path: Path) -> None:
    (tmp_path / "f.py").write_text(
        "from seawall import tool\n@tool\ndef f() -> str:\n    return ''\n"
    )
    (tmp_path / "script.yaml").write_text("agents: {a: {turns: [{say: hi}]}}\n")
    spec = tmp_path / "seawall.yaml"
    egress = "[{host: api.example.com, auth: {header: X-Key, secret: TOKEN}}]"
    spec.write_text(f"{HEAD}tools: {{t: {{functions: f.py, egress: {egress}}}}}\n")
    told: list[str] = []
    await Mesh.load(spec).run("hi", offline=True, warn=told.append)
    assert len(told) == 1
    assert "egress of tool/t is not enforced" in told[0]
    assert "credentials are not added" in told[0]
