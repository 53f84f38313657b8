"""Grants in a gateway's configuration: readable, and only what was granted."""

from __future__ import annotations

from ipaddress import IPv4Network
from pathlib import Path
from typing import Any

import pytest
import yaml

from seawall.errors import SpecError
from seawall.plan.compile import compile_plan
from seawall.render.compose import ComposeOptions, render
from seawall.render.dockerfile import PROGRAMS, Code
from seawall.spec import sources
from seawall.spec.load import load

CODE = {name: Code((), "") for name in PROGRAMS}
HEAD = """\
seawall: 1
name: mesh
main: lead
defaults: {model: "anthropic:claude-sonnet-4-5"}
tools: {text: {functions: t.py}}
"""
TOOL = "from seawall import tool\n@tool\ndef a(t: str) -> str: ...\n"


def rendered(folder: Path, egress: str, *, offline: bool = False) -> str:
    """The configuration of the gateway of an agent with these grants."""
    return made(folder, egress, offline=offline)["workloads/gateway-agent-lead/envoy.yaml"]


def made(folder: Path, egress: str, *, offline: bool = False) -> dict[str, str]:
    lead = f"{{instructions: L, tools: [text], egress: {egress}}}"
    script = "script: s.yaml\n" if offline else ""
    (folder / "s.yaml").write_text("agents: {}\n")
    (folder / "t.py").write_text(TOOL)
    (folder / "seawall.yaml").write_text(f"{HEAD}{script}agents: {{lead: {lead}}}\n")
    spec = load(folder / "seawall.yaml")
    plan = compile_plan(spec, sources.read(spec))
    options = ComposeOptions("p", IPv4Network("100.64.0.0/16"), offline=offline)
    return render(plan, options, CODE).files


def hosts(text: str) -> dict[str, Any]:
    """Virtual hosts by their domains."""
    listener = yaml.safe_load(text)["static_resources"]["listeners"][0]
    manager = listener["filter_chains"][0]["filters"][0]["typed_config"]
    return {d: h for h in manager["route_config"]["virtual_hosts"] for d in h["domains"]}


def test_a_typical_agents_file_is_short_enough_to_read(tmp_path: Path) -> None:
    text = rendered(tmp_path, "[{host: api.example.com}]")
    assert len(text.splitlines()) < 250


def test_without_a_grant_the_agents_model_is_the_only_host_outside(tmp_path: Path) -> None:
    text = rendered(tmp_path, "[]")
    assert "*" in hosts(text)
    assert names(text) == ["api.anthropic.com"]
    offline = rendered(tmp_path, "[]", offline=True)
    assert "dynamic_forward_proxy" not in offline
    assert "internal_listener" not in offline


def names(text: str) -> list[str]:
    """What may be resolved for TLS."""
    inside = yaml.safe_load(text)["static_resources"]["listeners"][1]
    (chain,) = inside["filter_chains"]
    assert chain["filter_chain_match"]["transport_protocol"] == "tls"
    found: list[str] = chain["filter_chain_match"]["server_names"]
    return found


def test_only_granted_names_are_ever_resolved(tmp_path: Path) -> None:
    text = rendered(tmp_path, '[{host: api.example.com}, {host: "*.example.org"}]')
    assert names(text) == ["*.example.org", "api.anthropic.com", "api.example.com"]


def test_the_meshs_own_networks_are_refused_even_where_private_ones_are_declared(
    tmp_path: Path,
) -> None:
    text = rendered(tmp_path, "[{host: home.example.com, allow_private_addresses: true}]")
    denied = {name: ranges(text, name) for name in ("out", "own")}
    assert {"100.64.0.0/16", "169.254.0.0/16", "127.0.0.0/8"} <= denied["own"]
    assert not {"10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"} & denied["own"]
    assert {"10.0.0.0/8", "100.64.0.0/10", "172.16.0.0/12", "192.168.0.0/16"} <= denied["out"]


@pytest.mark.parametrize(
    ("keys", "way"),
    [
        ("base_url: 'https://models.example.com/v1'", "out"),
        ("base_url: 'https://models.example.com/v1', allow_private_addresses: true", "own"),
        ("base_url: 'http://192.168.7.8:11434/v1'", "own"),
        ("base_url: 'http://8.8.8.8:11434/v1'", "out"),
        ("base_url: 'http://host.docker.internal:11434/v1'", "own"),
    ],
)
def test_a_models_server_is_private_where_the_spec_says_so(
    tmp_path: Path, keys: str, way: str
) -> None:
    models = f"models: {{own: {{model: 'openai:own', {keys}}}}}\n"
    (tmp_path / "t.py").write_text(TOOL)
    head = HEAD.replace('"anthropic:claude-sonnet-4-5"', "own")
    (tmp_path / "seawall.yaml").write_text(f"{head}{models}agents: {{lead: {{instructions: L}}}}\n")
    spec = load(tmp_path / "seawall.yaml")
    plan = compile_plan(spec, sources.read(spec))
    files = render(plan, ComposeOptions("p", IPv4Network("100.64.0.0/16")), CODE).files
    text = files["workloads/gateway-agent-lead/envoy.yaml"]
    assert f"envoy_internal_address: {{server_listener_name: {way}}}" in text
    allows = {k.allows for k in plan.links if k.model}
    assert allows == {("allow_private_addresses",) if way == "own" else ()}
    compose = yaml.safe_load(files["compose.yaml"])["services"]["gateway-agent-lead"]
    machine = {"host.docker.internal": "host-gateway"} if "docker" in keys else None
    assert compose.get("extra_hosts") == machine


def ranges(text: str, listener: str) -> set[str]:
    """What is taken out of answers, the same wherever a listener's names are resolved."""
    resources = yaml.safe_load(text)["static_resources"]
    found = [
        c["cluster_type"]["typed_config"] for c in resources["clusters"] if "cluster_type" in c
    ]
    for one in resources["listeners"]:
        for chain in one["filter_chains"]:
            found += [f["typed_config"] for f in chain["filters"]]
    caches = [c["dns_cache_config"] for c in found if "dns_cache_config" in c]
    filters = [c["resolved_address_filter"] for c in caches if c["name"] == listener]
    assert len(filters) >= 2
    assert all(one == filters[0] for one in filters)
    return {f"{r['address_prefix']}/{r['prefix_len']}" for r in filters[0]["ranges"]}


def test_a_networks_way_out_comes_with_the_grant_and_never_offline(tmp_path: Path) -> None:
    def networks(egress: str, *, offline: bool) -> set[str]:
        compose = made(tmp_path, egress, offline=offline)["compose.yaml"]
        return set(yaml.safe_load(compose)["services"]["gateway-agent-lead"]["networks"])

    assert "outside" in networks("[{host: api.example.com}]", offline=False)
    assert "outside" not in networks("[{host: api.example.com}]", offline=True)


@pytest.mark.parametrize(
    ("egress", "fault"),
    [
        ('[{host: "*.com"}]', "must be a host's name"),
        ('[{host: "*"}]', "must be a host's name"),
        ('[{host: "a.*.example.com"}]', "must be a host's name"),
        ('[{host: "10.0.0.1"}]', "must be a host's name"),
        ('[{host: "*.example.com", methods: [GET]}]', "TLS that the client speaks itself"),
        ('[{host: "*.example.com", allow_plain_http: true}]', "TLS that the client speaks"),
        ("[{host: a.example.com, paths: [v1]}]", "paths"),
        ('[{host: "a.example.com:443"}, {host: a.example.com}]', "listed twice"),
        (
            "[{host: a.example.com, via: gateway}, {host: a.example.com, allow_plain_http: true}]",
            "http://a.example.com would mean two grants",
        ),
    ],
)
def test_grants_that_make_no_sense_are_refused(tmp_path: Path, egress: str, fault: str) -> None:
    with pytest.raises(SpecError) as caught:
        rendered(tmp_path, egress)
    assert fault in str(caught.value)
