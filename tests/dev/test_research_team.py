"""The example answers on the embedded engine, from real documents, and leaves nothing behind."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples/research-team/seawall.yaml"
SEAWALL = [sys.executable, "-m", "seawall.cli.main"]
QUESTION = "How does Seawall keep a model key away from an agent?"
CITATION = re.compile(r"\(([\w./-]+):(\d+)-(\d+)")


def seawall(*arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*SEAWALL, *arguments], capture_output=True, text=True, timeout=100, check=False, **options
    )


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of documents that nothing else in the project knows of."""
    folder = tmp_path_factory.mktemp("library")
    lines = ["# Tides", "", "The harbour of Port Emmet dries out twice a day.", ""]
    lines += ["## The wall", "", "The sea wall at Port Emmet was raised to nine metres in 1953."]
    (folder / "tides.md").write_text("\n".join(lines) + "\n")
    (folder / "bread.md").write_text("# Bread\n\nRye bread needs a sour starter and time.\n")
    return folder


@pytest.fixture(scope="module")
def events(library: Path) -> list[dict[str, Any]]:
    question = "How high is the sea wall at Port Emmet?"
    done = seawall(
        "dev", "-f", str(EXAMPLE), "--offline", "--json", "--library", str(library), question
    )
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def of_kind(events: list[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    return [event for event in events if event["kind"] == kind]


def test_the_answer_cites_file_and_line_of_a_real_document(
    events: list[dict[str, Any]], library: Path
) -> None:
    answer = of_kind(events, "run.done")[0]["data"]["output"]
    cited = CITATION.findall(answer)
    assert cited, answer
    name, first, last = cited[0]
    text = (library / name).read_text().splitlines()[int(first) - 1 : int(last)]
    assert "nine metres" in " ".join(text)


def test_three_researcher_replicas_work_at_the_same_time(events: list[dict[str, Any]]) -> None:
    taken = [e for e in of_kind(events, "task.taken") if e["agent"] == "researcher"]
    done = [e for e in of_kind(events, "task.done") if e["agent"] == "researcher"]
    assert {e["data"]["replica"] for e in taken} == {f"researcher-{n}" for n in (1, 2, 3)}
    assert max(e["at"] for e in taken) < min(e["at"] for e in done)


def test_the_coder_computed_over_what_they_found(events: list[dict[str, Any]]) -> None:
    coder = [e["data"]["output"] for e in of_kind(events, "task.done") if e["agent"] == "coder"]
    computed = json.loads(coder[0])
    assert computed["passages"] >= 1
    assert computed["top"][0]["file"] == "tides.md"


def test_usage_is_counted_over_the_whole_tree(events: list[dict[str, Any]]) -> None:
    steps = of_kind(events, "step.done")
    turns = sum(e["data"]["usage"]["turns"] for e in steps)
    assert turns == 3 + 3 * 2 + 2
    assert of_kind(events, "run.done")[0]["data"]["usage"]["turns"] == turns


def test_plain_output_follows_when_not_on_a_terminal(library: Path) -> None:
    done = seawall("dev", "-f", str(EXAMPLE), "--offline", "--library", str(library), QUESTION)
    assert done.returncode == 0, done.stderr
    assert "taken by researcher-" in done.stdout
    assert "\x1b[" not in done.stdout


def test_a_missing_key_names_the_key_and_both_ways_out() -> None:
    env = {k: v for k, v in os.environ.items() if k != "ANTHROPIC_API_KEY"}
    done = seawall("dev", "-f", str(EXAMPLE), QUESTION, env=env)
    assert done.returncode == 3
    assert "ANTHROPIC_API_KEY" in done.stderr
    assert "--offline" in done.stderr
    assert "Traceback" not in done.stderr


def test_an_unreachable_broker_is_told_in_words() -> None:
    done = seawall(
        "dev", "-f", str(EXAMPLE), "--offline", "--broker", "redis://127.0.0.1:1", QUESTION
    )
    assert done.returncode == 3
    assert "127.0.0.1:1" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_missing_library_is_told_in_words() -> None:
    done = seawall("dev", "-f", str(EXAMPLE), "--offline", "--library", "/nowhere", QUESTION)
    assert done.returncode == 3
    assert "no such folder" in done.stderr


@pytest.fixture
def stuck(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """A mesh whose model takes a minute to answer."""
    (tmp_path / "seawall.yaml").write_text(
        "seawall: 1\nname: slow\nmain: sleeper\n"
        "agents: {sleeper: {model: 'anthropic:claude-sonnet-4-5', instructions: Sleep.}}\n"
        "script: slow.yaml\n"
    )
    (tmp_path / "slow.yaml").write_text(
        "agents: {sleeper: {turns: [{say: late, delay_ms: 60000}]}}\n"
    )
    process = subprocess.Popen(
        [*SEAWALL, "dev", "--offline", "hello"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stdout is not None
    for line in process.stdout:
        if "began model" in line:
            break
    else:
        pytest.fail(f"it ended early: {process.communicate()[1]}")
    yield process
    process.kill()
    process.communicate()


def brokers(process: subprocess.Popen[str]) -> list[int]:
    """The Valkey servers among the process's descendants."""
    listed = subprocess.run(["ps", "-wweo", "pid=,ppid=,args="], capture_output=True, text=True)
    rows = [line.split(None, 2) for line in listed.stdout.splitlines()]
    family = {process.pid}
    for _generation in range(4):
        family |= {int(pid) for pid, parent, _ in rows if int(parent) in family}
    return [int(pid) for pid, _, args in rows if int(pid) in family and "valkey-server" in args]


def alive(pids: list[int]) -> list[int]:
    return [pid for pid in pids if Path(f"/proc/{pid}").exists()]


def test_ctrl_c_cancels_the_tree_and_says_how_far_it_got(stuck: subprocess.Popen[str]) -> None:
    servers = brokers(stuck)
    assert servers
    stuck.send_signal(signal.SIGINT)
    _, told = stuck.communicate(timeout=20)
    assert stuck.returncode == 130
    assert "cancelled with 0 of 1 tasks done" in told
    assert alive(servers) == []


def test_kill_9_leaves_no_broker(stuck: subprocess.Popen[str]) -> None:
    servers = brokers(stuck)
    assert servers
    stuck.kill()
    stuck.wait()
    end = time.monotonic() + 5
    while alive(servers) and time.monotonic() < end:
        time.sleep(0.05)
    assert alive(servers) == []
