"""Networks and addresses: an agent more moves nobody; a mesh that does not fit is refused."""

from __future__ import annotations

from ipaddress import IPv4Network
from pathlib import Path

import pytest

from seawall.errors import OperatorError
from seawall.plan.compile import compile_plan
from seawall.plan.model import Plan
from seawall.render.topology import topology
from seawall.spec import sources
from seawall.spec.load import load

WITHIN = IPv4Network("100.64.0.0/16")


def plan_with(folder: Path, agents: int) -> Plan:
    lines = "".join(f"  a{n}: {{instructions: Work.}}\n" for n in range(agents))
    (folder / "seawall.yaml").write_text(
        "seawall: 1\nname: m\nmain: a0\n"
        f'defaults: {{model: "anthropic:claude-sonnet-4-5"}}\nagents:\n{lines}'
    )
    spec = load(folder / "seawall.yaml")
    return compile_plan(spec, sources.read(spec))


def test_an_agent_more_moves_no_network_but_a_rare_one_that_shared_its_slot(tmp_path: Path) -> None:
    small = {n.name: n.subnet for n in topology(plan_with(tmp_path, 20), WITHIN).networks}
    large = {n.name: n.subnet for n in topology(plan_with(tmp_path, 21), WITHIN).networks}
    assert set(small) < set(large)
    moved = [name for name in small if small[name] != large[name]]
    assert len(moved) <= 1


def test_networks_do_not_overlap_and_each_gateway_has_its_address(tmp_path: Path) -> None:
    shape = topology(plan_with(tmp_path, 60), WITHIN)
    subnets = [n.subnet for n in shape.networks]
    assert len(set(subnets)) == len(subnets)
    assert all(subnet.subnet_of(WITHIN) for subnet in subnets)
    bound = [a.address for s in shape.services for a in s.networks if a.address]
    assert len(set(bound)) == 60


def test_every_service_has_its_own_user(tmp_path: Path) -> None:
    shape = topology(plan_with(tmp_path, 60), WITHIN)
    uids = [s.uid for s in shape.services]
    assert len(set(uids)) == len(uids)
    assert min(uids) >= 1000


def test_more_networks_than_there_is_room_for_are_refused(tmp_path: Path) -> None:
    with pytest.raises(OperatorError, match="the mesh needs more than 512"):
        topology(plan_with(tmp_path, 510), WITHIN)


def test_an_agent_more_changes_no_other_gateways_user(tmp_path: Path) -> None:
    before = {s.name: s.uid for s in topology(plan_with(tmp_path, 8), WITHIN).services}
    after = {s.name: s.uid for s in topology(plan_with(tmp_path, 9), WITHIN).services}
    assert {name: after[name] for name in before} == before
