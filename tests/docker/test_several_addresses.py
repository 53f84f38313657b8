"""A granted name with several addresses, of which some are nobody's to reach: in any order."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator

import harness
import pytest
from internet import ADDRESSES, Internet
from test_egress import World

TRIES = 12
"""Names of each kind: each is resolved for itself, and Docker gives an answer in any order."""
KINDS = ("tunnel", "plain", "spoken", "own")
NAMES = {kind: [f"{kind}{n}.example.com" for n in range(TRIES)] for kind in KINDS}
MORE = {
    "plain": ", allow_plain_http: true",
    "spoken": ", via: gateway",
    "own": ", allow_private_addresses: true",
}
GRANTS = [
    f"      - {{host: {name}{MORE.get(kind, '')}}}\n" for kind in KINDS for name in NAMES[kind]
]
SPEC = {
    "seawall.yaml": f"""\
seawall: 1
name: several
main: lead
defaults: {{model: none}}
agents:
  lead:
    instructions: Ask.
    egress:
{"".join(GRANTS)}\
trusted_cas: [ca.pem]
models:
  none: {{model: "openai:none", base_url: "http://models.example.com/v1"}}
"""
}


@pytest.fixture(scope="module")
def world(engine: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("several")
    mesh = harness.write(folder / "mesh", SPEC, f"several-{os.getpid()}")
    every = tuple(name for names in NAMES.values() for name in names)
    internet = Internet(mesh.project, folder / "certs", {"public": every})
    try:
        internet.prepare()
        (mesh.folder / "ca.pem").write_bytes((internet.folder / "ca.pem").read_bytes())
        mesh.seawall("up")
        internet.mix(every)
        internet.join(mesh.container("gateway-agent-lead"))
        made = World(mesh, internet)
        made.place("agent-lead")
        yield made
    finally:
        internet.remove_clients()
        mesh.remove()
        internet.remove()


def url(kind: str, number: int) -> str:
    scheme = "https" if kind in ("tunnel", "own") else "http"
    return f"{scheme}://{NAMES[kind][number]}/"


def asked(world: World, kind: str) -> int:
    """How often the server with such an address was asked."""
    said = harness.docker("logs", f"{world.mesh.project}-mixed-{kind}").stdout
    return len([line for line in said.splitlines() if line.startswith("{")])


def orders(world: World, kind: str) -> set[str]:
    """The address that the gateway's container gets first, of each name."""
    code = "import socket,sys\nfor n in sys.argv[1:]: print(socket.gethostbyname_ex(n)[2][0])"
    done = world.mesh.exec("gateway-agent-lead", "python3", "-c", code, *NAMES[kind] * 3)
    assert done.returncode == 0, done
    return set(done.stdout.split())


@pytest.mark.parametrize("kind", ["tunnel", "plain", "spoken"])
def test_only_the_public_one_of_two_is_reached(world: World, kind: str) -> None:
    assert orders(world, kind) == set(ADDRESSES.values())
    before = asked(world, "public"), asked(world, "private")
    half = TRIES // 2
    for number in range(half):
        assert json.loads(world.curl("agent-lead", url(kind, number))[1])["method"] == "GET"
    assert (asked(world, "public"), asked(world, "private")) == (before[0] + half, before[1])


@pytest.mark.parametrize("kind", ["tunnel", "plain", "spoken"])
def test_when_the_public_one_does_not_accept_no_other_is_tried(world: World, kind: str) -> None:
    names = [name for one in KINDS for name in NAMES[one]]
    world.internet.mix(names, listening=("private",))
    try:
        for number in range(TRIES // 2, TRIES):
            code, out, _ = world.curl(
                "agent-lead", "--write-out", "%{http_code}", url(kind, number)
            )
            assert code != 0 or out.endswith("503"), (number, code, out)
        assert asked(world, "private") == 0
        # The way is there for a grant that says so: the test would see it being taken.
        assert json.loads(world.curl("agent-lead", url("own", 0))[1])["method"] == "GET"
        assert asked(world, "private") == 1
    finally:
        world.internet.mix(names)
