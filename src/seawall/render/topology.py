"""Which services and networks a plan needs on an engine with networks: derived from its links.

Shared by the renderers for Docker. An agent's network holds the agent and its gateway; whoever a
gateway must reach has a network that only those with a link to it are on.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, replace
from ipaddress import IPv4Address, IPv4Network
from typing import Literal

from seawall.errors import OperatorError
from seawall.plan.model import Link, Plan, Workload

from . import services

ServiceKind = Literal["broker", "keeper", "agent", "tool", "gateway", "door", "models"]

SLOT_BITS = 25
"""A network has 126 addresses: the most replicas (100), a gateway, and room."""
GATEWAY_HOST = -2
"""Of an agent's network: the address that its gateway binds to, the last one: Docker gives
addresses to the others from the first one on."""
UID_GATEWAY_OVER = 20_000
"""Above its workload's uid (`plan/compile.py`), so that a new agent changes no other gateway."""
OUTSIDE = ("outside/", "service/")
JOINED = "joined-"
"""Before the name of a network that is not the mesh's own."""
UID_DOOR, UID_MODELS = 60_000, 60_001
"""Above both ranges, and below 65536: with user namespaces there are no more."""


@dataclass(frozen=True)
class Network:
    """A bridge of the mesh's own. `open`: it has a way out, for who must go out."""

    name: str
    subnet: IPv4Network
    why: str
    open: bool = False


@dataclass(frozen=True)
class Attachment:
    """A service on a network; with `alias` others find it, with `address` it is bound."""

    network: str
    alias: str | None = None
    address: IPv4Address | None = None


@dataclass(frozen=True)
class Service:
    """One service of the mesh; `workload` for those that the plan lists."""

    name: str
    kind: ServiceKind
    uid: int
    networks: tuple[Attachment, ...]
    workload: Workload | None = None
    links: tuple[Link, ...] = ()
    """A gateway's: what it lets through."""
    hosts: tuple[tuple[str, IPv4Address], ...] = ()
    """Names of existing services, each with its gateway's address that stands for it."""


@dataclass(frozen=True)
class Topology:
    """Everything that runs, in order of name, and the networks between."""

    services: tuple[Service, ...]
    networks: tuple[Network, ...]
    within: IPv4Network
    """Where all of them are: no grant leads there."""
    joined: tuple[tuple[str, str], ...] = ()
    """Networks of others that a gateway is on: by its name here, and by its own."""

    def service(self, name: str) -> Service:
        """One service."""
        return next(s for s in self.services if s.name == name)


def service_name(identity: str) -> str:
    """`agent/x` is the service `agent-x`."""
    return identity.replace("/", "-")


def topology(plan: Plan, within: IPv4Network, *, offline: bool = False) -> Topology:
    """The services and networks of a plan, with subnets of `within` (a /16).

    `offline`: models are a service of the mesh, and no gateway goes out.

    Raises:
        OperatorError: there are more networks than `within` has room for.
    """
    gateways = tuple(_gateways(plan, offline))
    every = [*_core(plan), *gateways]
    if offline:
        on = (Attachment("models", "models"),)
        every.append(Service("models", "models", UID_MODELS, on))
    names = sorted({a.network for s in every for a in s.networks})
    others = tuple((name, name.removeprefix(JOINED)) for name in names if name.startswith(JOINED))
    own = [name for name in names if not name.startswith(JOINED)]
    subnets = _subnets(own, within)
    networks = tuple(_network(name, subnets[name]) for name in own)
    placed = (_bound(plan, service, subnets) for service in every)
    return Topology(tuple(sorted(placed, key=lambda s: s.name)), networks, within, others)


def _core(plan: Plan) -> list[Service]:
    """The workloads of the plan, and the door."""
    found = [Service("door", "door", UID_DOOR, (Attachment("front"), Attachment("keeper")))]
    for workload in plan.workloads:
        name = service_name(workload.identity)
        networks: tuple[Attachment, ...]
        match workload.kind:
            case "keeper":
                networks = (Attachment("broker"), Attachment("keeper", "keeper"))
            case "broker":
                networks = (Attachment("broker", "broker"),)
            case "agent":
                networks = (Attachment(name), *_sides(plan, workload))
            case "tool":
                # Nobody was granted it: it still runs, alone, for `seawall call`.
                networks = (Attachment(name, name),)
                if goes_out(plan, workload):
                    networks += (Attachment(f"gateway-{name}"), *_sides(plan, workload))
        found.append(Service(name, workload.kind, workload.uid, networks, workload))
    return found


def goes_out(plan: Plan, workload: Workload) -> bool:
    """Whether a workload was granted anything outside the mesh."""
    return any(k.source == workload.identity and k.target.startswith(OUTSIDE) for k in plan.links)


def _gateways(plan: Plan, offline: bool) -> Iterable[Service]:
    for workload in plan.workloads:
        links = tuple(link for link in plan.links if link.source == workload.identity)
        out = goes_out(plan, workload)
        own = service_name(workload.identity)
        name = f"gateway-{own}"
        if workload.kind == "agent":
            networks = [Attachment(own, "gateway"), *_sides(plan, workload), Attachment("keeper")]
            tools = [service_name(k.target) for k in links if k.target.startswith("tool/")]
            networks += [Attachment(tool) for tool in tools]
        elif workload.kind == "tool" and out:
            # Not the network of those who call the tool: there it would serve them too.
            networks = [Attachment(name, "gateway"), *_sides(plan, workload)]
        else:
            continue
        if out and not offline:
            networks += _ways_out(plan, workload)
        elif out and workload.kind == "agent":
            networks.append(Attachment("models"))
        uid = workload.uid + UID_GATEWAY_OVER
        yield Service(name, "gateway", uid, tuple(networks), workload, links)


def _sides(plan: Plan, workload: Workload) -> list[Attachment]:
    """The networks that a workload and its gateway share besides the first."""
    ways = services.sides(plan, workload.identity)
    return [Attachment(n) for n in services.networks(service_name(workload.identity), ways)]


def _ways_out(plan: Plan, workload: Workload) -> list[Attachment]:
    """The networks on which a gateway reaches what is not the mesh's."""
    connected = services.connected(plan, workload.identity)
    outside = {f"service/{one.name}" for one in connected if one.network is None}
    targets = {link.target for link in plan.links if link.source == workload.identity}
    out = any(target.startswith("outside/") or target in outside for target in targets)
    joined = [Attachment(JOINED + n) for n in services.joined(plan, workload.identity)]
    return [*([Attachment("outside")] if out else []), *joined]


def _bound(plan: Plan, service: Service, subnets: dict[str, IPv4Network]) -> Service:
    """A gateway with its addresses on the workload's side, where alone it listens; a workload with
    the names that stand for them.
    """
    if service.workload is None or service.kind not in ("gateway", "agent", "tool"):
        return service
    identity = service.workload.identity
    ways = services.sides(plan, identity)
    sides = [_first_side(identity), *services.networks(service_name(identity), ways)]
    if service.kind == "gateway":
        networks = tuple(
            replace(a, address=subnets[a.network][GATEWAY_HOST]) if a.network in sides else a
            for a in service.networks
        )
        return replace(service, networks=networks)
    hosts = {
        name: subnets[network][GATEWAY_HOST]
        for network, side in zip(sides, ways, strict=True)
        for name in services.names(side)
    }
    return replace(service, hosts=tuple(sorted(hosts.items())))


def _first_side(identity: str) -> str:
    """The network of a workload and its gateway: a tool's own is that of its callers."""
    own = service_name(identity)
    return f"gateway-{own}" if identity.startswith("tool/") else own


def _network(name: str, subnet: IPv4Network) -> Network:
    whys = {
        "broker": "keeper and broker, and nobody else",
        "keeper": "gateways and the door reach the keeper here; no way out",
        "front": "the published door; only it is here",
        "outside": "gateways go out here, each to its named hosts; they cannot reach each other",
        "models": "scripted models for --offline; no way out",
    }
    if name in whys:
        return Network(name, subnet, whys[name], open=name in ("front", "outside"))
    kind, _, rest = name.partition("-")
    if kind in ("gateway", "services"):
        who = rest.partition("-")[2] if kind == "services" else rest
        return Network(name, subnet, f"{who} and its own gateway; no way out")
    who = "the gateways of agents that were granted it" if kind == "tool" else "its own gateway"
    return Network(name, subnet, f"{rest} and {who}; no way out")


def _subnets(names: Iterable[str], within: IPv4Network) -> dict[str, IPv4Network]:
    """A subnet for each name, from its hash, so that a new network moves no other (nearly)."""
    slots = list(within.subnets(new_prefix=SLOT_BITS))
    taken: dict[str, IPv4Network] = {}
    free = dict(enumerate(slots))
    for name in names:
        if not free:
            raise OperatorError("networks", f"the mesh needs more than {len(slots)}", "Split it")
        wanted = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big") % len(slots)
        while wanted not in free:
            wanted = (wanted + 1) % len(slots)
        taken[name] = free.pop(wanted)
    return taken
