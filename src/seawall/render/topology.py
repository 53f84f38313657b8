"""Which services and networks a plan needs on an engine with networks: derived from its links.

Shared by the renderers for Docker. An agent's network holds the agent and its gateway; whoever a
gateway must reach has a network that only those with a link to it are on.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network
from typing import Literal

from seawall.errors import OperatorError
from seawall.plan.model import Link, Plan, Workload

ServiceKind = Literal["broker", "keeper", "agent", "tool", "gateway", "door", "models"]

SLOT_BITS = 25
"""A network has 126 addresses: the most replicas (100), a gateway, and room."""
GATEWAY_HOST = -2
"""Of an agent's network: the address that its gateway binds to, the last one: Docker gives
addresses to the others from the first one on."""
UID_GATEWAY_OVER = 20_000
"""Above its workload's uid (`plan/compile.py`), so that a new agent changes no other gateway."""
OUTSIDE = ("outside/", "service/")
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


@dataclass(frozen=True)
class Topology:
    """Everything that runs, in order of name, and the networks between."""

    services: tuple[Service, ...]
    networks: tuple[Network, ...]
    within: IPv4Network
    """Where all of them are: no grant leads there."""

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
    services = [*_core(plan), *gateways]
    if offline:
        on = (Attachment("models", "models"),)
        services.append(Service("models", "models", UID_MODELS, on))
    names = sorted({a.network for s in services for a in s.networks})
    subnets = _subnets(names, within)
    networks = tuple(_network(name, subnets[name]) for name in names)
    placed = (_bound(service, subnets) for service in services)
    return Topology(tuple(sorted(placed, key=lambda s: s.name)), networks, within)


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
                networks = (Attachment(name),)
            case "tool":
                # Nobody was granted it: it still runs, alone, for `seawall call`.
                networks = (Attachment(name, name),)
                if goes_out(plan, workload):
                    networks += (Attachment(f"gateway-{name}"),)
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
            networks = [Attachment(own, "gateway"), Attachment("keeper")]
            tools = [service_name(k.target) for k in links if k.target.startswith("tool/")]
            networks += [Attachment(tool) for tool in tools]
        elif workload.kind == "tool" and out:
            # Not the network of those who call the tool: there it would serve them too.
            networks = [Attachment(name, "gateway")]
        else:
            continue
        if out and not offline:
            networks.append(Attachment("outside"))
        elif out and workload.kind == "agent":
            networks.append(Attachment("models"))
        uid = workload.uid + UID_GATEWAY_OVER
        yield Service(name, "gateway", uid, tuple(networks), workload, links)


def _bound(service: Service, subnets: dict[str, IPv4Network]) -> Service:
    """A gateway with its address on the agent's side, where alone it listens."""
    if service.kind != "gateway":
        return service
    first, *others = service.networks
    bound = Attachment(first.network, first.alias, subnets[first.network][GATEWAY_HOST])
    return Service(service.name, service.kind, service.uid, (bound, *others), service.workload,
                   service.links)  # fmt: skip


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
    if kind == "gateway":
        return Network(name, subnet, f"{rest} and its own gateway; no way out")
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
