"""Somebody else has the addresses that a mesh chose, or takes them while it starts."""

from __future__ import annotations

import json
import os
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, field
from ipaddress import IPv4Network

import harness
import pytest
from test_life_cycle import solo, there

from seawall.engine.compose import ComposeEngine, UpOptions
from seawall.errors import OperatorError

__all__ = ["solo"]
THEIRS = f"theirs-{os.getpid()}"


@pytest.fixture(autouse=True)
def theirs() -> Iterator[None]:
    yield
    harness.docker("network", "rm", THEIRS, check=False)


@dataclass
class Quicker:
    """Progress that somebody else makes: they take the mesh's addresses when it starts."""

    engine: ComposeEngine
    said: list[str] = field(default_factory=list)
    took: str = ""

    def say(self, text: str) -> None:
        self.said.append(text)

    def step(self, text: str) -> None:
        if text == "starting" and not self.took:
            self.took = str(self.engine.state()["within"])
            harness.docker("network", "create", "--subnet", self.took, THEIRS)


def subnets(mesh: harness.Mesh) -> list[IPv4Network]:
    found = json.loads(harness.docker("network", "inspect", *there(mesh)["networks"]).stdout)
    return [IPv4Network(network["IPAM"]["Config"][0]["Subnet"]) for network in found]


def test_addresses_taken_between_choice_and_start_are_left_for_others(solo: harness.Mesh) -> None:
    engine = harness.engine(solo)
    quicker = Quicker(engine)
    engine.up(UpOptions(offline=True, progress=quicker))
    assert "heard me" in solo.ask("me").stdout
    now = IPv4Network(engine.state()["within"])
    assert str(now) != quicker.took
    assert all(subnet.subnet_of(now) for subnet in subnets(solo))
    assert f"{THEIRS} took addresses of {quicker.took}: the mesh takes others" in quicker.said
    assert harness.docker("network", "inspect", THEIRS).returncode == 0
    assert "nothing had changed" in solo.seawall("up", "--offline").stdout


def test_who_may_not_build_is_told_the_commands_that_go_on(solo: harness.Mesh) -> None:
    solo.seawall("build", "--offline")
    engine = harness.engine(solo)
    with pytest.raises(OperatorError) as caught:
        engine.up(UpOptions(offline=True, build=False, progress=Quicker(engine)))
    assert THEIRS in caught.value.fault
    assert re.search(
        r"`seawall build --offline --name \S+ (--networks \S+)`, "
        r"then `seawall up --no-build --offline --name \S+ \1`",
        caught.value.remedy,
    )


def test_networks_that_were_named_are_not_changed_and_the_clash_is_told(
    solo: harness.Mesh,
) -> None:
    harness.docker("network", "create", "--subnet", "10.131.7.0/24", THEIRS)
    done = solo.seawall("up", "--offline", "--networks", "10.131.0.0/16", check=False)
    assert done.returncode == 3
    assert f"networks: 10.131.0.0/16 has no room: {THEIRS} has addresses of it" in done.stderr
    assert there(solo) == {"containers": [], "networks": [], "volumes": []}
    told = re.search(r"`seawall (up [^`]+)`", done.stderr)
    assert told
    assert solo.plain(*shlex.split(told[1]), "--env", "test").returncode == 0
    assert "heard me" in solo.ask("me").stdout
