"""kill -9 of `seawall dev` leaves no process of any kind, and no secret on the disk."""

import os
import subprocess
import sys
import time
from pathlib import Path

SPEC = f"""
seawall: 1
name: m
main: a
defaults: {{model: "anthropic:claude-sonnet-4-5"}}
agents: {{a: {{instructions: Hi, tools: [f, c, box]}}}}
tools:
  f: {{functions: f.py}}
  c: {{command: ["{sys.executable}", c.py], secrets: [TOKEN]}}
  box: {{sandbox: python}}
script: script.yaml
"""
FUNCTIONS = """
import subprocess
from seawall import tool

@tool
def spin() -> str:
    subprocess.Popen(["sleep", "300"])
    while True:
        pass
"""
SERVER = """
import os
from pathlib import Path
from mcp.server import MCPServer

app = MCPServer("c")

@app.tool()
def busy() -> str:
    Path("folder").write_text(os.environ["SEAWALL_SECRETS_DIR"])
    while True:
        pass

app.run("stdio")
"""
SCRIPT = """
agents:
  a:
    turns:
      - call:
          - {tool: spin, args: {}}
          - {tool: busy, args: {}}
          - {tool: run_python, args: {code: "while True: pass"}}
      - say: late
"""
KINDS = ("valkey-server", "seawall.bridges.functions", "c.py", "leash.py", "monty", "sleep 300")


def family(pid: int) -> dict[int, str]:
    """The descendants of a process, with their command lines."""
    listed = subprocess.run(
        ["ps", "-wweo", "pid=,ppid=,args="], capture_output=True, text=True, check=True
    )
    rows = [line.split(None, 2) for line in listed.stdout.splitlines()]
    known, found = {pid}, dict[int, str]()
    for _generation in range(6):
        found |= {int(p): args for p, parent, args in rows if int(parent) in known}
        known |= set(found)
    return found


def alive(pids: dict[int, str]) -> dict[int, str]:
    """Those that still run; a dead one that nobody has reaped does not count."""
    left = {}
    for pid, args in pids.items():
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            continue
        if state != "Z":
            left[pid] = args
    return left


def test_kill_9_leaves_nothing_of_any_kind(tmp_path: Path) -> None:
    for name, text in (("seawall.yaml", SPEC), ("f.py", FUNCTIONS), ("c.py", SERVER)):
        (tmp_path / name).write_text(text)
    (tmp_path / "script.yaml").write_text(SCRIPT)
    command = [sys.executable, "-m", "seawall.cli.main", "dev", "--offline", "hi"]
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    env = {**os.environ, "TOKEN": "tok-0123456789", "TMPDIR": str(temporary)}
    with (tmp_path / "log").open("w") as log:
        process = subprocess.Popen(command, cwd=tmp_path, env=env, stdout=log, stderr=log)
    try:
        end, children = time.monotonic() + 60, dict[int, str]()
        while time.monotonic() < end:
            children = family(process.pid)
            all_args = "\n".join(children.values())
            if all(kind in all_args for kind in KINDS) and (tmp_path / "folder").exists():
                break
            time.sleep(0.1)
        else:
            raise AssertionError(f"not all kinds were started: {children}")
        time.sleep(0.5)  # the sandbox's code is running
        children = family(process.pid)
        folder = Path((tmp_path / "folder").read_text())
        assert folder.exists()
    finally:
        process.kill()
        process.wait()
    end = time.monotonic() + 10
    while (alive(children) or list(temporary.iterdir())) and time.monotonic() < end:
        time.sleep(0.05)
    assert alive(children) == {}
    assert not folder.exists()
    assert list(temporary.iterdir()) == []
