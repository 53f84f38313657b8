"""What is in the images, and that the same inputs make the same layers, on a real engine."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import harness
import pytest
import yaml

MESH = {
    "seawall.yaml": """\
seawall: 1
name: images-check
main: lead
defaults: {model: "anthropic:claude-sonnet-4-5"}
budgets: {run: {usd: 1}}
agents:
  lead: {instructions: Count., tools: [text]}
tools:
  text: {functions: tools/text.py, files: [data], requirements: requirements.txt}
script: offline.yaml
""",
    "tools/text.py": """\
import pathlib

import six
from words import count

from seawall import tool


@tool
def measure(text: str) -> str:
    "How many words a text has."
    unit = pathlib.Path("data/unit.txt").read_text().strip()
    return f"{count(six.ensure_str(text))} {unit}"
""",
    "tools/words.py": "def count(text: str) -> int:\n    return len(text.split())\n",
    "data/unit.txt": "words\n",
    "data/.env": "KEY=secret\n",
    "requirements.txt": """\
six==1.17.0 \\
    --hash=sha256:4721f391ed90541fddacab5acf947aa0d3dc7d27b2e1e8eda2be8970586c3274
""",
    "offline.yaml": """\
agents:
  lead:
    turns:
      - call: [{tool: measure, args: {text: "{{ input }}"}}]
      - say: "{{ last[0].text }}"
""",
}
LOCK = """\
lock-version = "1.0"
created-by = "uv"

[[packages]]
name = "six"
version = "1.17.0"

[[packages.wheels]]
url = "https://files.example/six-1.17.0-py2.py3-none-any.whl"
hashes = { sha256 = "4721f391ed90541fddacab5acf947aa0d3dc7d27b2e1e8eda2be8970586c3274" }
"""
"""As uv writes it from pyproject.toml."""
NAME = "images-check"
ROLES = ("agent-lead", "broker", "door", "gateway-agent-lead", "keeper", "models", "tool-text")
"""The services; also the stages of the Dockerfile that make them."""


@pytest.fixture(scope="module")
def mesh(engine: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[harness.Mesh]:
    made = harness.write(tmp_path_factory.mktemp("images"), MESH, NAME)
    try:
        made.seawall("up", "--offline")
        yield made
    finally:
        made.remove()


def images(mesh: harness.Mesh) -> dict[str, str]:
    home = mesh.folder / ".seawall" / "compose" / mesh.project
    services = yaml.safe_load((home / "compose.yaml").read_text())["services"]
    return {name: service["image"] for name, service in services.items()}


def as_root(image: str, script: str) -> str:
    line = (
        "run",
        "--rm",
        "--no-healthcheck",
        "--network=none",
        "--user=0",
        "--entrypoint=sh",
        image,
        "-c",
        script,
    )
    return harness.docker(*line).stdout


def test_helper_data_and_package_of_a_tool_came_along(mesh: harness.Mesh) -> None:
    assert "3 words" in mesh.ask("one two three").stdout
    there = mesh.exec("tool-text", "find", "/seawall/files", "-name", ".env").stdout
    assert there == ""


def test_the_authors_packages_cannot_take_the_place_of_seawalls(mesh: harness.Mesh) -> None:
    path = mesh.python("tool-text", "import sys; print(*sys.path)").stdout.split()
    assert path.index("/seawall/lib") < path.index("/seawall/user")
    version = mesh.python("tool-text", "import six; print(six.__version__, six.__file__)").stdout
    assert version.split() == ["1.17.0", "/seawall/user/six.py"]


FORBIDDEN = r"""
find / -xdev \( -perm /6000 -o -name .git -o -name '*.pem.key' -o -name .env \) 2>/dev/null
for program in pip pip3 gcc cc make g++; do command -v $program; done
python3 -Bc 'import pip' 2>/dev/null && echo pip
find /var/cache/apt /var/lib/apt/lists -type f
find / -xdev -name ca.crt
find / -xdev -newermt 1970-01-02 -not -path '/proc/*' -not -path '/sys/*' -not -path '/dev/*' \
    -not -path '/etc/host*' -not -path /etc/resolv.conf -not -path /etc -not -path / \
    -not -path /proc -not -path /sys -not -path /dev -not -path /etc/mtab -not -path /.dockerenv
"""
"""Prints what must not be in an image: nothing."""


@pytest.mark.parametrize("service", ROLES)
def test_nothing_that_builds_or_runs_as_somebody_else_is_left(
    mesh: harness.Mesh, service: str
) -> None:
    assert as_root(images(mesh)[service], FORBIDDEN) == ""


@pytest.mark.parametrize("service", ROLES)
def test_an_image_says_what_it_is_and_how_it_is(mesh: harness.Mesh, service: str) -> None:
    told = json.loads(harness.docker("image", "inspect", images(mesh)[service]).stdout)[0]["Config"]
    labels = {k.removeprefix("org.opencontainers.image."): v for k, v in told["Labels"].items()}
    assert labels["title"] == f"images-check/{service}"
    assert labels["vendor"] == "Seawall"
    assert labels["version"]
    assert labels["base.name"] == harness.BASE_IMAGE
    assert told["Healthcheck"]["Test"][0] == "CMD"
    assert isinstance(told["Entrypoint"], list)
    assert told["Entrypoint"][0] in ("python3", "envoy", "redis-server")
    assert int(told["User"].partition(":")[0]) >= 1000


def test_programs_cannot_be_read_by_who_runs_them(mesh: harness.Mesh) -> None:
    mode = "stat -c %a $(readlink -f $(command -v {}))"
    for service, program in (("keeper", "python3"), ("door", "envoy"), ("broker", "redis-server")):
        assert as_root(images(mesh)[service], mode.format(program)) == "711\n"


UNCOMPILED = """
import asyncio, importlib.util, json, logging, pathlib, sys, urllib.request
loaded = [getattr(module, "__file__", None) or "" for module in list(sys.modules.values())]
standard = [pathlib.Path(name) for name in loaded if name.endswith(".py")]
assert len(standard) > 50
for file in (*standard, *pathlib.Path("/seawall").rglob("*.py")):
    made = pathlib.Path(importlib.util.cache_from_source(str(file)))
    if not made.is_file() or made.read_bytes()[4:8] != b"\\x01\\x00\\x00\\x00":
        print(file)
"""
"""Flags 1: checked by nobody, neither date nor hash (PEP 552). The standard library's too: Debian's
own files are compared with dates that the image no longer has, and compiled anew at each start."""


@pytest.mark.parametrize("service", ["agent-lead", "keeper", "tool-text"])
def test_python_is_compiled_and_not_compared_with_its_source(
    mesh: harness.Mesh, service: str
) -> None:
    assert mesh.python(service, UNCOMPILED).stdout == ""


@pytest.mark.parametrize(
    ("service", "absent"),
    [
        ("agent-lead", ["keeper", "bridges", "memory", "models/scripted.py"]),
        ("keeper", ["runtime", "bridges", "memory", "models", "containers/agent.py"]),
        ("tool-text", ["keeper", "runtime", "memory", "models"]),
    ],
)
def test_an_image_holds_nothing_of_seawall_that_it_does_not_need(
    mesh: harness.Mesh, service: str, absent: list[str]
) -> None:
    for path in ("spec", "plan", "render", "engine", "cli", *absent):
        assert mesh.exec(service, "test", "-e", f"/seawall/lib/seawall/{path}").returncode == 1


def layers(folder: Path, target: str) -> list[str]:
    """Build a stage without cache; its layers."""
    tag = f"images-check-again:{target}"
    ca = ("--secret", f"id=ca,src={folder}/ca.crt") if (folder / "ca.crt").is_file() else ()
    line = ("build", "--quiet", "--no-cache", *ca, "--target", target, "--tag", tag, str(folder))
    harness.docker(*line, timeout=600)
    try:
        told = json.loads(harness.docker("image", "inspect", tag).stdout)[0]
    finally:
        harness.docker("image", "rm", tag)
    found: list[str] = told["RootFS"]["Layers"]
    return found


@pytest.mark.parametrize("target", ["keeper", "gateway-agent-lead"])
def test_the_same_inputs_make_the_same_layers(mesh: harness.Mesh, target: str) -> None:
    """The other roles: `make bench ARGS=images`."""
    # As far as the rest is concerned: another machine, at another time, with another umask.
    project = mesh.folder / "again"
    mesh.seawall("render", "compose", "--offline", "-o", str(project))
    for file in (project / "workloads").rglob("*"):
        file.chmod(file.stat().st_mode & ~0o077)
    built = json.loads(harness.docker("image", "inspect", images(mesh)[target]).stdout)[0]
    assert layers(project, target) == built["RootFS"]["Layers"]


def test_overrides_of_base_and_broker(engine: None, tmp_path: Path) -> None:
    """A broker of the author's own: Debian's Valkey; and a base that is somebody's already."""
    ca = "seawall-test-base:trixie"
    recipe = f"""\
FROM {ca}
RUN apt-get update -qq && apt-get install -y -qq --no-install-recommends valkey-server \\
    && chmod u+s /usr/bin/true
USER 1234
"""
    (tmp_path / "Dockerfile").write_text(recipe)
    harness.docker("build", "--quiet", "--tag", "images-check-valkey:1", str(tmp_path), timeout=600)
    mesh = harness.write(tmp_path / "mesh", MESH, "images-other")
    overlay = mesh.folder / "seawall.test.yaml"
    both = "images: {base: images-check-valkey:1, broker: images-check-valkey:1}\n"
    rest = [line for line in overlay.read_text().splitlines() if not line.startswith("images")]
    overlay.write_text("\n".join([*rest, both]))
    try:
        mesh.seawall("up", "--offline")
        assert "2 words" in mesh.ask("one two").stdout
        assert "valkey" in mesh.exec("broker", "redis-server", "--version").stdout.lower()
        for service in ("broker", "agent-lead"):
            assert as_root(images(mesh)[service], "find / -xdev -perm /6000") == ""
    finally:
        mesh.remove()
        harness.docker("image", "rm", "images-check-valkey:1")


def test_overrides_of_keeper_and_gateway(mesh: harness.Mesh, tmp_path: Path) -> None:
    """A Python role on an image of the author's, and Envoy taken out of another; packages by a
    project's lock.
    """
    harness.docker("tag", harness.BASE_IMAGE, "images-check-python:1")
    locked = {**MESH, "pylock.toml": LOCK}
    locked["seawall.yaml"] = locked["seawall.yaml"].replace("requirements.txt", "pylock.toml")
    other = harness.write(tmp_path / "mesh", locked, "images-given")
    overlay = other.folder / "seawall.test.yaml"
    given = {"base": harness.BASE_IMAGE, "keeper": "images-check-python:1",
             "gateway": images(mesh)["door"]}  # fmt: skip
    rest = [line for line in overlay.read_text().splitlines() if not line.startswith("images")]
    overlay.write_text("\n".join([*rest, f"images: {json.dumps(given)}"]))
    try:
        other.seawall("up", "--offline")
        assert "2 words" in other.ask("one two").stdout
        for service in ("keeper", "door"):
            assert as_root(images(other)[service], "find / -xdev -perm /6000") == ""
            told = json.loads(harness.docker("image", "inspect", images(other)[service]).stdout)
            labels = told[0]["Config"]["Labels"]
            name = given["keeper" if service == "keeper" else "base"]
            assert labels["org.opencontainers.image.base.name"] == name
    finally:
        other.remove()
        harness.docker("image", "rm", "images-check-python:1")
