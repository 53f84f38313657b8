"""Existing services in what is rendered: at one address and port, by names that clients know."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import Any

import yaml

from seawall.plan.compile import compile_plan
from seawall.render.compose import ComposeOptions, render
from seawall.render.dockerfile import PROGRAMS, Code
from seawall.spec import sources
from seawall.spec.load import load

CODE = {name: Code((), "") for name in PROGRAMS}
TOOL = "from seawall import tool\n@tool\ndef a(t: str) -> str: ...\n"
SPEC = """\
seawall: 1
name: mesh
main: lead
defaults: {{model: "openai:own"}}
models: {{"openai:own": {{base_url: "https://models.example.com/v1"}}}}
agents:
  lead: {{instructions: L, tools: [text], {lead}}}
  other: {{instructions: O}}
tools: {{text: {{functions: t.py, {tool}}}}}
services:
  db: db.example.com:5432
  same: db.example.com:5433
  second: {{host: second.example.com, port: 5432}}
  api: api.example.com:8080
  near: {{host: postgres, port: 5432, network: shop_default}}
  address: 192.0.2.7:25
"""


def rendered(
    folder: Path, *, lead: str = "", tool: str = "", offline: bool = False
) -> tuple[dict[str, Any], dict[str, str]]:
    (folder / "t.py").write_text(TOOL)
    script = "script: s.yaml\n" if offline else ""
    (folder / "s.yaml").write_text("agents: {}\n")
    text = SPEC.format(lead=f"connects: [{lead}]", tool=f"connects: [{tool}]") + script
    (folder / "seawall.yaml").write_text(text)
    spec = load(folder / "seawall.yaml")
    plan = compile_plan(spec, sources.read(spec))
    options = ComposeOptions("p", IPv4Network("100.64.0.0/16"), offline=offline)
    files = render(plan, options, CODE).files
    return yaml.safe_load(files["compose.yaml"]), files


def listeners(files: dict[str, str], workload: str) -> dict[str, tuple[str, int]]:
    text = yaml.safe_load(files[f"workloads/gateway-{workload}/envoy.yaml"])
    found = {}
    for one in text["static_resources"]["listeners"]:
        if one["name"].startswith("service "):
            at = one["address"]["socket_address"]
            found[one["name"]] = (at["address"], at["port_value"])
            (chain,) = one["filter_chains"]
            (inside,) = chain["filter_chain_match"]["source_prefix_ranges"]
            network = IPv4Network(f"{inside['address_prefix']}/{inside['prefix_len']}")
            assert IPv4Address(at["address"]) in network
    return found


def test_a_service_is_at_its_own_port_of_the_gateway_that_its_names_stand_for(
    tmp_path: Path,
) -> None:
    compose, files = rendered(tmp_path, lead="db, same, address")
    agent = compose["services"]["agent-lead"]
    gateway = compose["services"]["gateway-agent-lead"]
    address = gateway["networks"]["agent-lead"]["ipv4_address"]
    # `address` has no name of its own but the spec's: 192.0.2.7 is not to be reached as such.
    assert agent["extra_hosts"] == dict.fromkeys(
        ("address", "db", "db.example.com", "same"), address
    )
    assert listeners(files, "agent-lead") == {
        "service address": (address, 25),
        "service db": (address, 5432),
        "service same": (address, 5433),
    }
    assert set(agent["networks"]) == {"agent-lead"}
    assert agent["environment"]["NO_PROXY"].endswith(",address,db,db.example.com,same")
    assert "outside" in gateway["networks"]


def test_two_at_one_port_have_two_addresses(tmp_path: Path) -> None:
    compose, files = rendered(tmp_path, lead="db, second, api")
    agent, gateway = (compose["services"][n] for n in ("agent-lead", "gateway-agent-lead"))
    shared = {"agent-lead", "services-1-agent-lead"}
    assert set(agent["networks"]) == shared
    assert shared < set(gateway["networks"])
    found = listeners(files, "agent-lead")
    # The gateway itself listens at 8080 of the first.
    first = gateway["networks"]["agent-lead"]["ipv4_address"]
    assert found["service db" if found["service db"][0] == first else "service second"][0] == first
    assert found["service api"][0] != first
    assert len({found["service db"], found["service second"], found["service api"]}) == 3
    for name, host in (("db", "db.example.com"), ("second", "second.example.com")):
        assert agent["extra_hosts"][name] == agent["extra_hosts"][host]
        assert agent["extra_hosts"][name] == found[f"service {name}"][0]
    assert compose["networks"]["services-1-agent-lead"]["internal"] is True


def test_another_projects_network_is_joined_by_the_gateway_alone(tmp_path: Path) -> None:
    compose, files = rendered(tmp_path, tool="near")
    assert compose["networks"]["joined-shop_default"] == {"external": True, "name": "shop_default"}
    assert "must be there before: shop_default." in files["README.md"]
    on = {n for n, s in compose["services"].items() if "joined-shop_default" in s["networks"]}
    assert on == {"gateway-tool-text"}
    # All that it reaches is there: it has no other way out.
    assert "outside" not in compose["services"]["gateway-tool-text"]["networks"]
    tool = compose["services"]["tool-text"]
    assert set(tool["networks"]) == {"tool-text", "gateway-tool-text"}
    assert set(tool["extra_hosts"]) == {"near", "postgres"}
    assert list(listeners(files, "tool-text")) == ["service near"]


def test_who_does_not_connect_has_no_listener_and_knows_no_name(tmp_path: Path) -> None:
    compose, files = rendered(tmp_path, tool="db")
    for agent in ("agent-lead", "agent-other"):
        assert listeners(files, agent) == {}
        assert "extra_hosts" not in compose["services"][agent]


def test_offline_no_gateway_goes_out_to_a_service(tmp_path: Path) -> None:
    compose, _ = rendered(tmp_path, lead="db", tool="near", offline=True)
    networks = {n for s in compose["services"].values() for n in s["networks"]}
    assert not {"outside", "joined-shop_default"} & networks


def test_a_services_name_that_is_also_granted_as_a_host_goes_by_the_proxy(tmp_path: Path) -> None:
    (tmp_path / "t.py").write_text(TOOL)
    text = SPEC.format(lead="connects: [db], egress: [{host: db.example.com}]", tool="")
    (tmp_path / "seawall.yaml").write_text(text)
    spec = load(tmp_path / "seawall.yaml")
    plan = compile_plan(spec, sources.read(spec))
    files = render(plan, ComposeOptions("p", IPv4Network("100.64.0.0/16")), CODE).files
    agent = yaml.safe_load(files["compose.yaml"])["services"]["agent-lead"]
    assert agent["environment"]["NO_PROXY"].split(",")[3:] == ["db"]
