"""Tools that misbehave, and a broker that dies: a whole mesh goes on, or says why it does not."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from pathlib import Path

from seawall.engine.broker import find_server

SEAWALL = [sys.executable, "-m", "seawall.cli.main"]
TOOLS = """\
import os, time
from seawall import tool

@tool(timeout="1s")
def hang() -> str:
    "Never answers."
    time.sleep(60)
    return "late"

@tool
def flood() -> str:
    "Answers too much."
    return "x" * 10_000_000

@tool
def nonsense() -> object:
    "Answers what is no JSON."
    return {object(): float("nan")}

@tool
def die() -> str:
    "Ends its process."
    os._exit(9)

@tool
def fail() -> str:
    "Raises."
    raise ValueError("no such order")

@tool
def work() -> str:
    "Works."
    return "still here"
"""
NAMES = ("hang", "flood", "nonsense", "die", "fail", "work")


def test_a_tool_that_misbehaves_is_told_to_the_model_and_the_run_goes_on(tmp_path: Path) -> None:
    (tmp_path / "odd.py").write_text(TOOLS)
    (tmp_path / "seawall.yaml").write_text(
        "seawall: 1\nname: odd\nmain: a\ndefaults: {model: 'anthropic:claude-sonnet-4-5'}\n"
        "agents: {a: {instructions: x, tools: [odd]}}\ntools: {odd: {functions: odd.py}}\n"
        "script: s.yaml\n"
    )
    turns = "".join(f"      - call: [{{tool: {name}, args: {{}}}}]\n" for name in NAMES)
    said = "".join(f"{name}=<{{{{ results[{n}].text[:200] }}}}> " for n, name in enumerate(NAMES))
    (tmp_path / "s.yaml").write_text(f"agents:\n  a:\n    turns:\n{turns}      - say: '{said}'\n")
    done = subprocess.run(
        [*SEAWALL, "dev", "--offline", "go"],
        cwd=tmp_path, capture_output=True, text=True, timeout=110, check=False,
    )  # fmt: skip
    printed = done.stdout + done.stderr
    assert done.returncode == 0, printed
    assert "Traceback" not in printed
    assert "hang=<hang timed out" in printed
    assert "no such order" in printed
    assert "work=<still here>" in printed
    assert len(printed) < 200_000


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def test_a_broker_that_dies_in_the_middle_is_told_and_nothing_hangs(tmp_path: Path) -> None:
    port = free_port()
    server = subprocess.Popen(
        [str(find_server()), "--port", str(port), "--bind", "127.0.0.1", "--save", ""],
        cwd=tmp_path, stdout=subprocess.DEVNULL,
    )  # fmt: skip
    (tmp_path / "seawall.yaml").write_text(
        "seawall: 1\nname: slow\nmain: a\nagents: {a: {model: 'anthropic:claude-sonnet-4-5', "
        "instructions: x}}\nscript: s.yaml\n"
    )
    (tmp_path / "s.yaml").write_text("agents: {a: {turns: [{say: late, delay_ms: 60000}]}}\n")
    try:
        until_open(port)
        mesh = subprocess.Popen(
            [*SEAWALL, "dev", "--offline", "--broker", f"redis://127.0.0.1:{port}", "go"],
            cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            env=os.environ | {"PYTHONUNBUFFERED": "1"},
        )  # fmt: skip
        assert mesh.stdout is not None
        for line in mesh.stdout:
            if "began model" in line:
                break
        server.kill()
        out, told = mesh.communicate(timeout=60)
    finally:
        server.kill()
        server.wait()
    assert mesh.returncode == 3, out + told
    assert "broker" in told
    assert "Traceback" not in told


def until_open(port: int) -> None:
    end = time.monotonic() + 10
    while time.monotonic() < end:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise TimeoutError("the broker did not start")
