"""Existing services of the author's, a database say: where a workload finds each of them.

Its gateway has a listener for each, at the service's own port, and hands bytes on to that host and
port alone. A workload knows the service by its name in the spec and by its host's own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from ipaddress import IPv4Network
from typing import Any

from seawall.plan.model import ExistingService, Plan
from seawall.wire import places

from . import egress, envoy, grant
from .yaml_text import Flow

IDLE_SECONDS = 3600
"""How long nothing need be said: pools of connections rest."""


def connected(plan: Plan, identity: str) -> tuple[ExistingService, ...]:
    """The services that a workload connects to."""
    found = {link.target for link in plan.links if link.source == identity}
    return tuple(one for one in plan.services if f"service/{one.name}" in found)


def sides(plan: Plan, identity: str) -> tuple[tuple[ExistingService, ...], ...]:
    """A workload's services, by the networks that it shares with its gateway.

    The first is there anyway. A gateway has one address on a network, and one service is at a port
    of it: two databases at 5432 need two networks. Services of one host stay together, as its name
    has one address.
    """
    hosts: dict[str, list[ExistingService]] = {}
    for one in connected(plan, identity):
        hosts.setdefault(one.host, []).append(one)
    found: list[list[ExistingService]] = [[]]
    taken: list[set[int]] = [{places.GATEWAY_PORT}]
    for group in hosts.values():
        ports = {one.port for one in group}
        side = next((n for n, others in enumerate(taken) if not ports & others), len(found))
        if side == len(found):
            found.append([])
            taken.append(set())
        found[side] += group
        taken[side] |= ports
    return tuple(tuple(side) for side in found)


def networks(own: str, ways: Sequence[Sequence[ExistingService]]) -> tuple[str, ...]:
    """The networks of a workload's sides after the first, which has a name already."""
    return tuple(f"services-{number}-{own}" for number in range(1, len(ways)))


def names(side: Sequence[ExistingService]) -> tuple[str, ...]:
    """What a workload calls them: by the spec's names and by their own. An address has no other."""
    own = {one.host for one in side if one.host.strip("0123456789.")}
    return tuple(sorted({one.name for one in side} | own))


def joined(plan: Plan, identity: str) -> tuple[str, ...]:
    """The engine's networks that a workload's gateway joins to reach services there."""
    return tuple(sorted({s.network for s in connected(plan, identity) if s.network}))


def listener(
    service: ExistingService,
    address: str,
    inside: dict[str, Any],
    mesh: IPv4Network,
    fields: Mapping[str, str],
) -> dict[str, Any]:
    """Bytes to one service. Its addresses may be private, and are never the mesh's."""
    states = [
        _state("envoy.upstream.dynamic_host", service.host),
        _state("envoy.upstream.dynamic_port", str(service.port)),
    ]
    told = envoy.typed(
        "envoy.filters.network.set_filter_state",
        "extensions.filters.network.set_filter_state.v3.Config",
        on_new_connection=states,
    )
    resolve = egress.resolver(grant.OWN, service.port, mesh)
    proxy = envoy.typed(
        "envoy.filters.network.tcp_proxy",
        "extensions.filters.network.tcp_proxy.v3.TcpProxy",
        stat_prefix=f"service {service.name}",
        cluster=egress.beyond(grant.OWN),
        idle_timeout=f"{IDLE_SECONDS}s",
        access_log=[_log(service, fields, 200, "=="), _log(service, fields, 503, "!=")],
    )
    name = f"service {service.name}"
    return envoy.listener(name, address, service.port, [told, resolve, proxy], inside)


def _state(key: str, text: str) -> Flow:
    form = {"text_format_source": {"inline_string": text}}
    return Flow({"object_key": key, "format_string": form})


def _log(
    service: ExistingService, fields: Mapping[str, str], status: int, comparison: str
) -> dict[str, Any]:
    """A line a connection when it has ended, in the shape of a request's."""
    line = {
        "time": "%START_TIME%",
        **fields,
        "host": f"{service.host}:{service.port}",
        "rule": f"service {service.name}",
        "status": status,
        "details": "%RESPONSE_FLAGS_LONG%",
        "received": "%BYTES_RECEIVED%",
        "sent": "%BYTES_SENT%",
        "ms": "%DURATION%",
    }
    return envoy.stdout(Flow(line), f"response.flags {comparison} 0")
