"""What goes wrong on the way up is explained, and `down` cleans what it left."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time

import harness
import pytest
from test_life_cycle import SOLO, solo, there

__all__ = ["solo"]


def up_fails(mesh: harness.Mesh, *args: str, code: int = 3) -> str:
    done = mesh.seawall("up", *args, check=False)
    assert done.returncode == code, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    assert "internal error" not in done.stderr
    return done.stderr


def is_clean(mesh: harness.Mesh) -> None:
    mesh.seawall("down", "--volumes", "--yes")
    assert there(mesh) == {"containers": [], "networks": [], "volumes": []}


def test_every_missing_key_is_named_before_anything_is_built(
    solo: harness.Mesh, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("ANTHROPIC_API_KEY", raising=False)
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    spec = solo.folder / "seawall.yaml"
    spec.write_text(
        SOLO["seawall.yaml"].replace(
            "  only: {instructions: Answer.}\n",
            "  only: {instructions: Answer., delegates: [other]}\n"
            "  other: {instructions: Help., model: 'openai:gpt-4o'}\n",
        )
    )
    told = up_fails(solo)
    assert "ANTHROPIC_API_KEY" in told
    assert "OPENAI_API_KEY" in told
    assert "building" not in told
    shown = solo.seawall("secrets", check=False)
    assert shown.returncode == 3
    assert "ANTHROPIC_API_KEY" in shown.stdout


def test_a_base_that_is_not_there_is_named(solo: harness.Mesh) -> None:
    overlay = solo.folder / "seawall.test.yaml"
    overlay.write_text(overlay.read_text().replace(harness.BASE_IMAGE, "nowhere.invalid/base:1"))
    told = up_fails(solo, "--offline")
    assert "images/base: nowhere.invalid/base:1 cannot be pulled" in told
    assert "docker pull" in told
    is_clean(solo)


def test_a_package_that_does_not_exist_is_named_and_nothing_is_started(solo: harness.Mesh) -> None:
    (solo.folder / "tool.py").write_text(
        "from seawall import tool\n\n\n@tool\ndef one(text: str) -> str:\n    return text\n"
    )
    (solo.folder / "requirements.txt").write_text(
        f"seawall-no-such-package-{os.getpid()}==1.0 --hash=sha256:{'0' * 64}\n"
    )
    spec = solo.folder / "seawall.yaml"
    spec.write_text(
        spec.read_text().replace(
            "{instructions: Answer.}", "{instructions: Answer., tools: [mine]}"
        )
        + "tools: {mine: {functions: tool.py, requirements: requirements.txt}}\n"
    )
    told = up_fails(solo, "--offline")
    assert "image of tool-mine: " in told
    assert f"seawall-no-such-package-{os.getpid()}" in told
    assert "run it again" in told
    assert there(solo) == {"containers": [], "networks": [], "volumes": []}
    is_clean(solo)


def test_a_door_port_that_is_taken_is_named(solo: harness.Mesh) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        spec = solo.folder / "seawall.yaml"
        spec.write_text(spec.read_text() + f"door: {{port: {port}}}\n")
        told = up_fails(solo, "--offline")
    assert "door: {port: …}" in told
    assert str(port) in told
    is_clean(solo)


def test_an_engine_that_does_not_answer_is_named(
    solo: harness.Mesh, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere/docker.sock")
    told = up_fails(solo, "--offline")
    assert "Start Docker, or choose another --context" in told
    for command in ("ps", "down", "run", "doctor"):
        args = ["question"] if command == "run" else []
        done = solo.plain(command, *args) if command == "doctor" else solo.seawall(
            command, *args, check=False)  # fmt: skip
        assert done.returncode == 3, command
        assert "Cannot connect to the Docker daemon" in done.stderr


def test_a_context_that_is_not_there_is_named(solo: harness.Mesh) -> None:
    told = up_fails(solo, "--offline", "--context", "life-nowhere")
    assert "docker context ls" in told


def test_commands_on_a_mesh_that_does_not_run_say_so(solo: harness.Mesh) -> None:
    for words in (("run", "question"), ("logs",), ("scale", "only=2"), ("secrets", "--refresh")):
        done = solo.seawall(*words, check=False)
        assert done.returncode == 3, words
        assert "does not run here" in done.stderr, done.stderr


@pytest.mark.parametrize("moment", ["building", "starting"])
def test_ctrl_c_leaves_a_state_that_is_told_and_that_down_cleans(
    solo: harness.Mesh, moment: str
) -> None:
    if moment == "building":
        # Another instruction makes another image: there is something to build.
        spec = solo.folder / "seawall.yaml"
        spec.write_text(spec.read_text().replace("Answer.", f"Answer {time.time()}."))
    else:
        solo.seawall("build", "--offline")
    line = [sys.executable, "-m", "seawall.cli.main", "up", "--offline", "--env", "test",
            "--name", solo.name]  # fmt: skip
    with subprocess.Popen(
        line, cwd=solo.folder, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        env=os.environ, preexec_fn=harness.heeding_interrupts,
    ) as process:  # fmt: skip
        assert process.stderr is not None
        if moment == "building":
            assert "building" in process.stderr.readline()
        else:
            until = time.monotonic() + 60
            while not there(solo)["containers"] and time.monotonic() < until:
                time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        _, told = process.communicate(timeout=60)
    assert process.returncode == 130, told
    assert f"interrupted while {moment}" in told
    assert "`seawall down` removes it" in told
    assert "Traceback" not in told
    is_clean(solo)
