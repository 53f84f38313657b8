"""What Docker says, in words that a person can act on: builds, failures, addresses, folders."""

from __future__ import annotations

import stat
import subprocess
from collections.abc import Iterator
from ipaddress import IPv4Network
from pathlib import Path

import pytest

from seawall.engine import addresses, building, folder, mounted
from seawall.engine.docker import Docker, failure
from seawall.errors import OperatorError
from seawall.render.files import Copy, Rendered
from seawall.render.readme import make_secrets

BAD_BASE = """\
#3 [door internal] load metadata for docker.io/library/nosuch:1
------
 > [door internal] load metadata for docker.io/library/nosuch:1:
------
target door: failed to solve: nosuch:1: failed to resolve source metadata for \
docker.io/library/nosuch:1: no such host
"""
BAD_STEP = """\
#29 [door door 1/2] RUN ["envoy", "--mode", "validate"]
#29 0.1 bad route
------
 > [door door 1/2] RUN ["envoy", "--mode", "validate"]:
0.1 bad route
------
Dockerfile:182
target door: failed to solve: process "envoy" did not complete successfully: exit code: 1
"""


class Told:
    """Keeps what is said."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.steps: list[str] = []

    def say(self, text: str) -> None:
        self.said.append(text)

    def step(self, text: str) -> None:
        self.steps.append(text)


@pytest.mark.parametrize(
    ("said", "remedy"),
    [
        ("Cannot connect to the Docker daemon at unix:///x.", "Start Docker"),
        ("failed to bind host port 1: address already in use", "door: {port: …}"),
        ("Bind for 127.0.0.1:1 failed: port is already allocated", "door: {port: …}"),
        ("permission denied while trying to connect to the docker API", "a user who may"),
        ("invalid pool request: Pool overlaps with other one", "addresses that are free"),
        ("write /x: no space left on device", "docker system df"),
        ('context "x": context not found: open y', "docker context ls"),
    ],
)
def test_a_known_failure_has_a_remedy(said: str, remedy: str) -> None:
    assert remedy in failure(("compose", "--progress", "plain", "up"), [said]).remedy


def test_an_unknown_failure_is_quoted() -> None:
    told = failure(("compose", "up"), ["", "never seen before."])
    assert (told.place, told.fault, told.remedy) == ("docker compose up", "never seen before", "")


def test_a_build_tells_each_image_that_is_done_and_keeps_steps_for_terminals() -> None:
    told = Told()
    lines = [
        "#12 [a runtime-lib 4/8] COPY x /x", "#29 [a] exporting to image",
        "#29 naming to docker.io/m/a:1 done", "#30 naming to registry:5000/m/b:2 0.0s done",
        " m/a:1  Built",
    ]  # fmt: skip
    building.follow(lines, {"a": "m/a:1", "b": "registry:5000/m/b:2"}, "base", told)
    assert told.said == ["built a (1 of 2)", "built b (2 of 2)"]
    assert told.steps == ["building, 0 of 2 images done: runtime-lib 4/8"]


def test_a_build_that_fails_says_why() -> None:
    base = building.fault(BAD_BASE.splitlines(), "nosuch:1")
    assert base.place == "images/base"
    assert base.fault.startswith("nosuch:1 cannot be pulled")
    step = building.fault(BAD_STEP.splitlines(), "other")
    assert step.place == "image of door"
    assert step.fault.endswith("exit code: 1\n    0.1 bad route")

    def broken() -> Iterator[str]:
        yield from BAD_STEP.splitlines()
        raise OperatorError("docker compose build", "exit 1")

    with pytest.raises(OperatorError, match="image of door"):
        building.follow(broken(), {"door": "m/door:1"}, "other", Told())


class _Networks(Docker):
    """An engine with networks: name, owner and subnets, a line each."""

    lines_: tuple[str, ...] = ()

    def ask(self, *args: str, check: bool = True, given: str = "") -> str:
        return "\n".join(self.lines_) if "inspect" in args else "id\n" * len(self.lines_)


def _with(*lines: str) -> _Networks:
    docker = _Networks()
    object.__setattr__(docker, "lines_", [f"net{n} {line}" for n, line in enumerate(lines)])
    return docker


def test_a_mesh_keeps_its_addresses_and_takes_none_that_are_in_use(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(addresses, "_of_routes", list)
    first, second, third = list(addresses.candidates("p"))[:3]
    inside = next(first.subnets(new_prefix=25))
    assert addresses.free("p", _with()) == first
    assert addresses.free("p", _with(f"other {inside} ")) == second
    assert addresses.free("p", _with(), third) == third
    assert addresses.free("p", _with(f"p {next(third.subnets(new_prefix=25))} "), third) == third
    assert addresses.free("p", _with(f"other {third} "), third) == first
    everything = [f"other {network} " for network in addresses.candidates("p")]
    with pytest.raises(OperatorError, match="all in use"):
        addresses.free("p", _with(*everything, "none ", "six fd00::/64 "))
    assert isinstance(first, IPv4Network)


def test_networks_in_the_way_are_named_and_the_meshs_own_are_not() -> None:
    within = next(iter(addresses.candidates("p")))
    docker = _with(f"p {within} ", f"other {within} ", "other 192.168.0.0/24 ", " fd00::/64 ")
    assert addresses.clashing("p", docker, within) == ["net1"]


def test_a_folder_holds_what_was_rendered_and_never_replaces_somebody_elses(tmp_path: Path) -> None:
    spec, home = tmp_path / "spec", tmp_path / "home"
    (spec / "tools").mkdir(parents=True)
    (spec / "tools" / "t.py").write_text("a = 1\n")
    made = Rendered({"compose.yaml": "x", "old/file": "y"}, [Copy("spec", "tools", "w/tools")])
    assert folder.changed(made, home, spec) == {"compose.yaml", "old/file", "w/tools/t.py"}
    folder.lay(made, home, spec)
    assert stat.S_IMODE(home.stat().st_mode) == 0o700
    (home / "secrets").mkdir()
    (home / "secrets" / "kept").touch()
    assert folder.changed(made, home, spec) == frozenset()
    del made.files["old/file"]
    (spec / "tools" / "t.py").write_text("a = 2\n")
    assert folder.changed(made, home, spec) == {"w/tools/t.py"}
    folder.lay(made, home, spec)
    assert not (home / "old").exists()
    assert (home / "secrets" / "kept").exists()
    with pytest.raises(OperatorError, match="were not rendered by Seawall"):
        folder.lay(made, spec, spec)
    assert (spec / "tools" / "t.py").exists()


def test_secrets_lie_readable_below_a_folder_that_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "secrets"
    mounted.write(home, {"gateway-a": {"KEY": "one"}})
    token = mounted.door_token(home)
    found = {p.relative_to(home).as_posix(): p for p in home.rglob("*")}
    modes = {name: stat.S_IMODE(path.stat().st_mode) for name, path in found.items()}
    assert stat.S_IMODE(home.stat().st_mode) == 0o700
    assert modes == {"door-token": 0o600, "gateway-a": 0o755, "gateway-a/KEY": 0o444,
                     "keeper": 0o755, "keeper/door-token": 0o444}  # fmt: skip
    assert token not in (home / "keeper" / "door-token").read_text()
    inode = (home / "gateway-a" / "KEY").stat().st_ino
    mounted.write(home, {"gateway-a": {"KEY": "one"}})
    assert (home / "gateway-a" / "KEY").stat().st_ino == inode
    mounted.write(home, {"gateway-a": {"KEY": "two"}})
    assert (home / "gateway-a" / "KEY").stat().st_ino != inode
    assert mounted.door_token(home) == token
    mounted.write(home, {})
    assert not (home / "gateway-a").exists()
    monkeypatch.setenv("SEAWALL_DOOR_TOKEN", "shared")
    mounted.write(home, {})
    assert mounted.door_token(home) == "shared"
    mounted.remove(home)
    assert not home.exists()


def test_make_secrets_names_what_is_missing_and_writes_the_same_files(tmp_path: Path) -> None:
    script = make_secrets({"gateway-a": ("KEY", "OTHER")})
    (tmp_path / "make-secrets").write_text(script)
    run = ["sh", str(tmp_path / "make-secrets")]
    done = subprocess.run(run, env={"PATH": "/usr/bin:/bin", "KEY": "x"}, capture_output=True,
                          text=True, check=False)  # fmt: skip
    assert done.returncode == 3
    assert done.stderr == "make-secrets: set these first: OTHER\n"
    env = {"PATH": "/usr/bin:/bin", "KEY": "a $b 'c'", "OTHER": "d"}
    for _ in range(2):
        subprocess.run(run, env=env, check=True)
    home = tmp_path / "secrets"
    assert (home / "gateway-a" / "KEY").read_text() == "a $b 'c'"
    before = (home / "keeper" / "door-token").read_text()
    mounted.write(home, {"gateway-a": {"KEY": "a $b 'c'", "OTHER": "d"}})
    assert (home / "keeper" / "door-token").read_text() == before
    assert stat.S_IMODE((home / "door-token").stat().st_mode) == 0o600
