"""`seawall call`: one function of a tool, as an agent or as a person, without a model."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

SEAWALL = [sys.executable, "-m", "seawall.cli.main"]
SERVER = """
from mcp.server import MCPServer

app = MCPServer("stranger")

@app.tool()
def greet(name: str) -> str:
    return f"Hello {name}"

app.run()
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("mesh")
    (folder / "text.py").write_text(
        "from seawall import tool\n"
        "@tool\n"
        "def measure(text: str) -> dict[str, int]:\n"
        '    """Count words."""\n'
        "    return {'words': len(text.split())}\n"
        "@tool\n"
        "def fail() -> str:\n"
        "    raise ValueError('no luck')\n"
    )
    (folder / "server.py").write_text(SERVER)
    (folder / "library").mkdir()
    (folder / "library" / "tides.md").write_text("# Tides\n\nThe wall is nine metres high.\n")
    (folder / "seawall.yaml").write_text(
        "seawall: 1\nname: calls\nmain: a\ndefaults: {model: 'anthropic:claude-sonnet-4-5'}\n"
        "agents:\n"
        "  a: {instructions: Answer., tools: [text/measure]}\n"
        "tools:\n"
        "  text: {functions: text.py}\n"
        "  sandbox: {sandbox: python, timeout: 30s}\n"
        "  memory: {memory: {documents: library}}\n"
        f"  stranger: {{command: ['{sys.executable}', server.py]}}\n"
    )
    return folder


def call(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [*SEAWALL, "call", *words], cwd=folder, capture_output=True, text=True, timeout=90
    )
    assert "Traceback" not in done.stdout + done.stderr
    return done


MEASURE = ("text", "measure", '{"text": "one two"}')


@pytest.mark.parametrize(
    ("words", "answer"),
    [
        (MEASURE, '"words": 2'),
        (("sandbox", "run_python", '{"code": "print(6 * 7)"}'), "42"),
        (("memory", "recall", '{"query": "How high is the wall?"}'), "nine metres"),
        (("stranger", "greet", '{"name": "Ada"}'), "Hello Ada"),
        (("text",), "measure(text)  Count words."),
        (("stranger",), "greet(name)"),
        ((*MEASURE, "--as", "a"), '"words": 2'),
    ],
    ids=["functions", "sandbox", "memory", "command", "list", "list a server", "granted"],
)
def test_a_call_prints_its_result(words: tuple[str, ...], answer: str, folder: Path) -> None:
    done = call(folder, *words)
    assert done.returncode == 0, done.stderr
    assert answer.replace(" ", "") in done.stdout.replace(" ", "")


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (("text", "fail"), 1, "no luck"),
        (("text", "fail", "--as", "a"), 1, "no function 'fail' for a"),
        (("text", "launch"), 1, "no function 'launch'"),
        ((*MEASURE, "--as", "nobody"), 3, "no agent 'nobody'"),
        (("texts",), 3, "There are: memory, sandbox, stranger, text"),
        (("text", "measure", "{"), 3, "not JSON"),
        (("text", "measure", "[1]"), 3, "must be a JSON object"),
        (("text", "measure", '{"text": 1}'), 1, "text"),
    ],
    ids=["fails", "not granted", "unknown", "no agent", "no tool", "bad JSON", "list", "type"],
)
def test_a_call_that_fails_says_why_on_stderr(
    words: tuple[str, ...], code: int, told: str, folder: Path
) -> None:
    done = call(folder, *words)
    assert done.returncode == code
    assert done.stdout == ""
    assert told in done.stderr


@pytest.mark.parametrize(("words", "code"), [(MEASURE, 0), (("text", "fail"), 1), (("text",), 0)])
def test_json_is_the_whole_outcome(words: tuple[str, ...], code: int, folder: Path) -> None:
    done = call(folder, *words, "--json")
    assert done.returncode == code
    outcome = json.loads(done.stdout)
    assert outcome["is_error"] == bool(code)


def test_only_granted_functions_are_listed_for_an_agent(folder: Path) -> None:
    outcome = json.loads(call(folder, "text", "--as", "a", "--json").stdout)
    assert [f["name"] for f in outcome["structured"]["functions"]] == ["measure"]
