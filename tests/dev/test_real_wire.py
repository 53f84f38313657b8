"""A mesh over the providers' real wire: the real clients, a fake server in a process of its own."""

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

SEAWALL = [sys.executable, "-m", "seawall.cli.main"]
KEY = "sk-test-a-key-that-must-never-show"

Serve = Callable[..., str]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    """Starts a fake provider that answers from a script; returns its address."""
    started: list[subprocess.Popen[bytes]] = []

    def start(script: str, *options: str) -> str:
        (tmp_path / "script.yaml").write_text(script)
        port = free_port()
        command = ["-m", "seawall.models.fake_providers", "--port", str(port)]
        command += ["--script", str(tmp_path / "script.yaml"), "--key", KEY, *options]
        started.append(subprocess.Popen([sys.executable, *command]))
        end = time.monotonic() + 20
        while time.monotonic() < end:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    return f"http://127.0.0.1:{port}"
            time.sleep(0.05)
        raise TimeoutError("the fake provider did not start")

    yield start
    for process in started:
        process.kill()
        process.wait()


def ask(
    folder: Path, ref: str, base_url: str, *flags: str, key: str = KEY, more: str = ""
) -> tuple[int, str]:
    """The exit code of `seawall dev`, and all that it printed."""
    (folder / "seawall.yaml").write_text(
        "seawall: 1\nname: wire\nmain: writer\n"
        f"models: {{m: {{model: '{ref}', base_url: '{base_url}', secret: FAKE_KEY, retries: 2}}}}\n"
        "agents: {writer: {model: m, instructions: Write., delegates: [helper]}, "
        f"helper: {{model: m, instructions: Help.}}}}\n{more}"
    )
    env = {**os.environ, "FAKE_KEY": key}
    done = subprocess.run(
        [*SEAWALL, "dev", *flags, "What is new?"],
        cwd=folder,
        env=env,
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    printed = done.stdout + done.stderr
    assert KEY not in printed
    assert "Traceback" not in printed
    return done.returncode, printed


HELLO = "agents: {writer: {turns: [{say: All is well on the wire.}]}}\n"


@pytest.mark.parametrize(("provider", "path"), [("anthropic", ""), ("openai", "/v1")])
def test_a_mesh_answers_over_the_real_wire(
    provider: str, path: str, serve: Serve, tmp_path: Path
) -> None:
    code, printed = ask(tmp_path, f"{provider}:writer", serve(HELLO) + path)
    assert code == 0, printed
    assert "All is well on the wire." in printed


def test_an_overloaded_model_is_asked_again(serve: Serve, tmp_path: Path) -> None:
    base_url = serve(HELLO, "--behave", "529,429:1")
    code, printed = ask(tmp_path, "anthropic:writer", base_url)
    assert code == 0, printed


def test_a_refused_key_names_the_secret_and_never_the_value(serve: Serve, tmp_path: Path) -> None:
    code, printed = ask(tmp_path, "anthropic:writer", serve(HELLO), key=KEY + "-wrong")
    assert code == 4
    assert "FAKE_KEY" in printed


def test_an_unreachable_model_names_the_address(tmp_path: Path) -> None:
    port = free_port()
    code, printed = ask(tmp_path, "anthropic:writer", f"http://127.0.0.1:{port}")
    assert code == 4
    assert f"127.0.0.1:{port}" in printed


def test_a_model_that_never_stops_is_stopped_at_the_budget(serve: Serve, tmp_path: Path) -> None:
    call = "{call: [{tool: delegate_helper, args: {task: again}}]}"
    turns = ", ".join([call] * 30)
    script = f"agents: {{writer: {{turns: [{turns}]}}}}\n"
    code, printed = ask(
        tmp_path, "anthropic:writer", serve(script), more="budgets: {run: {turns: 6}}\n"
    )
    assert code == 5, printed
    assert "turns" in printed


def test_a_model_that_calls_unknown_tools_is_told_and_then_given_up(
    serve: Serve, tmp_path: Path
) -> None:
    turns = ", ".join(["{call: [{tool: launch, args: {}}]}"] * 8)
    script = f"agents: {{writer: {{turns: [{turns}]}}}}\n"
    code, printed = ask(tmp_path, "anthropic:writer", serve(script))
    assert code == 4, printed
    assert "'launch'" in printed


def test_a_model_that_answers_garbage_fails_in_words(serve: Serve, tmp_path: Path) -> None:
    base_url = serve(HELLO, "--behave", ",".join(["garbage"] * 9))
    code, printed = ask(tmp_path, "anthropic:writer", base_url)
    assert code == 4, printed


def test_after_a_cut_stream_people_are_told_that_the_text_begins_anew(
    serve: Serve, tmp_path: Path
) -> None:
    base_url = serve(HELLO, "--behave", "cut:6", "--pause", "0.2")
    code, printed = ask(tmp_path, "anthropic:writer", base_url, "--json")
    assert code == 0, printed
    events = [json.loads(line) for line in printed.splitlines()]
    texts = [event["data"] for event in events if event["kind"] == "text"]
    anew = [number for number, data in enumerate(texts) if data.get("restart")]
    assert len(anew) == 1
    assert anew[0] > 0, "nothing had been shown before"
    assert "".join(data["text"] for data in texts[anew[0] :]) == "All is well on the wire."


def test_a_stream_without_end_is_ended_by_the_budget_of_time(serve: Serve, tmp_path: Path) -> None:
    base_url = serve(HELLO, "--behave", ",".join(["endless:5"] * 9))
    more = "budgets: {run: {time: 4s}}\n"
    code, printed = ask(tmp_path, "anthropic:writer", base_url, more=more)
    assert code == 5, printed
    assert "time" in printed or "seconds" in printed


def test_an_empty_answer_fails_in_words(serve: Serve, tmp_path: Path) -> None:
    turns = ", ".join(["{say: ''}"] * 6)
    base_url = serve(f"agents: {{writer: {{turns: [{turns}]}}}}\n")
    code, printed = ask(tmp_path, "anthropic:writer", base_url)
    assert code == 4, printed
    assert "no usable answer" in printed


def test_a_name_that_does_not_resolve_is_named(tmp_path: Path) -> None:
    code, printed = ask(tmp_path, "anthropic:writer", "https://models.invalid")
    assert code == 4, printed
    assert "models.invalid" in printed


def test_a_refused_request_is_told_at_once(serve: Serve, tmp_path: Path) -> None:
    code, printed = ask(tmp_path, "anthropic:writer", serve(HELLO, "--behave", "400,400,400"))
    assert code == 4, printed
    assert "400" in printed
