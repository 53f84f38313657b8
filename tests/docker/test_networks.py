"""Who reaches whom on the networks of a mesh: every address and port tried, from inside."""

from __future__ import annotations

import json
import socket
import subprocess
from collections.abc import Iterator
from typing import Any

import harness
import pytest
from intruder import addresses, attack, services

PORTS = (8080, 8081, 6379, 8443, 8400, 9000)
OUTSIDE = ["169.254.169.254", "1.1.1.1", "172.17.0.1"]
NAMES = ("keeper", "broker", "door", "models", "tool-text", "agent-lead", "agent-worker",
         "gateway", "gateway-agent-lead", "example.com", "host.docker.internal",
         "metadata.google.internal", "localhost.example.com")  # fmt: skip


@pytest.fixture(scope="module")
def listeners() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Something on the host that listens on every address, by TCP and by UDP."""
    tcp = socket.create_server(("0.0.0.0", 0))
    udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    udp.bind(("0.0.0.0", 0))
    with tcp, udp:
        yield tcp, udp


def of_host() -> list[str]:
    """Every IPv4 address of this machine, those of Docker's bridges among them."""
    told = subprocess.run(["ip", "-j", "-4", "addr"], capture_output=True, text=True, check=True)
    rows = json.loads(told.stdout)
    return [a["local"] for r in rows for a in r["addr_info"] if not a["local"].startswith("127.")]


def reached(team: harness.Mesh, service: str, tcp: socket.socket) -> set[tuple[str, int]]:
    """What answers a service, of all there is in the mesh, on the host and beyond."""
    inside = [ip for nets in addresses(team).values() for ip in nets.values()]
    targets: list[Any] = [(ip, port) for ip in {*inside, *OUTSIDE} for port in (*PORTS, 80)]
    targets += [(ip, tcp.getsockname()[1]) for ip in of_host()]
    targets += [("fe80::1%eth0", 8080), ("fd00::1", 8080), ("ff02::1%eth0", 8080)]
    own = set(addresses(team)[service].values())
    found = attack(team.container(service), "connect", targets)
    return {(ip, port) for ip, port, _, said in found if said == "answers" and ip not in own}


@pytest.mark.parametrize("agent", ["lead", "worker"])
def test_an_agent_reaches_its_gateways_one_port_and_nothing_else(
    team: harness.Mesh, listeners: tuple[socket.socket, socket.socket], agent: str
) -> None:
    gateway = addresses(team)[f"gateway-agent-{agent}"][f"agent-{agent}"]
    assert reached(team, f"agent-{agent}", listeners[0]) == {(gateway, 8080)}


def test_a_tool_reaches_nothing_at_all(
    team: harness.Mesh, listeners: tuple[socket.socket, socket.socket]
) -> None:
    assert reached(team, "tool-text", listeners[0]) == set()


def test_the_broker_answers_the_keeper_and_nobody_else(team: harness.Mesh) -> None:
    (broker,) = addresses(team)["broker"].values()
    answers = {
        name
        for name, container in services(team).items()
        if any(t[3] == "answers" for t in attack(container, "connect", [(broker, 6379)]))
    }
    assert answers == {"keeper", "broker"}


def test_no_datagram_reaches_the_host(
    team: harness.Mesh, listeners: tuple[socket.socket, socket.socket]
) -> None:
    _, udp = listeners
    udp.settimeout(2)
    port = udp.getsockname()[1]
    for service in ("agent-lead", "tool-text", "keeper", "broker"):
        attack(team.container(service), "datagrams", of_host(), port)
    with pytest.raises(TimeoutError):
        udp.recvfrom(64)


def test_only_the_door_and_gateways_that_go_out_have_a_route(team: harness.Mesh) -> None:
    seen = {name: attack(c, "network") for name, c in services(team).items()}
    assert {name for name, s in seen.items() if s["default"]} == {"door"}
    for name, one in seen.items():
        assert one["v6"] == [], name
        assert one["switches"]["ip_forward"] == ["0"], name
        assert one["switches"]["conf/all/arp_ignore"] == ["1"], name
    assert len(seen["agent-lead"]["interfaces"]) == len(seen["tool-text"]["interfaces"]) == 1


def test_a_gateway_routes_nothing_for_its_agent(team: harness.Mesh) -> None:
    where = addresses(team)
    gateway, keeper = where["gateway-agent-lead"]["agent-lead"], where["keeper"]["keeper"]
    said = attack(team.container("agent-lead"), "source_route", gateway, keeper)
    assert said in {"EPERM", "ENETUNREACH", "TimeoutError"}


def test_names_of_others_and_of_the_outside_do_not_resolve(team: harness.Mesh) -> None:
    found = attack(team.container("agent-lead"), "resolve", NAMES)
    known = {name for name, where in found.items() if where}
    assert known == {"agent-lead", "gateway", "gateway-agent-lead"}
    assert attack(team.container("tool-text"), "resolve", ["keeper", "example.com"]) == {
        "keeper": [],
        "example.com": [],
    }


def test_replicas_of_one_agent_see_each_other(team: harness.Mesh) -> None:
    # Documented (explanation/security.md): they share a network, an identity and a user.
    one, other = team.containers("agent-worker")
    seen = json.loads(harness.docker("inspect", other).stdout)[0]["NetworkSettings"]["Networks"]
    (network,) = seen.values()
    said = attack(one, "connect", [(network["IPAddress"], 8080)])
    assert {t[3] for t in said} == {"ECONNREFUSED"}


def test_only_the_door_is_published_and_on_this_machine_alone(team: harness.Mesh) -> None:
    for name, container in services(team).items():
        seen = json.loads(harness.docker("inspect", container).stdout)[0]
        bound = [b for ports in seen["NetworkSettings"]["Ports"].values() for b in ports or []]
        assert [b["HostIp"] for b in bound] == (["127.0.0.1"] if name == "door" else []), name
