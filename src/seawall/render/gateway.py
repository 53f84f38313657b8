"""The Envoy configuration of a gateway, an agent's or a tool's, and of the door.

A gateway listens on its workload's side only, says who asks over whatever the agent says of itself,
has the keeper check the lease, and adds keys that the agent never sees.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network
from typing import Any
from urllib.parse import urlsplit

from seawall.plan.links import to_model
from seawall.plan.model import Plan
from seawall.spec.profiles import HOSTS
from seawall.wire import headers, places
from seawall.wire.messages import Fault
from seawall.wire.profiles import AgentProfile, ModelProfile, ToolGrant

from . import egress, envoy, grant, metering, services, spoken, yaml_text
from .topology import GATEWAY_HOST, Service, Topology, service_name
from .yaml_text import Flow

IDENTITY = (headers.AGENT, headers.RUN, headers.TASK)
NEVER_OUTSIDE = ("authorization", "x-api-key", "cookie", "proxy-authorization", "x-seawall-step")
"""What an agent sends that no provider is told: a lease token is not for them."""
CALLS = {"anthropic": "/v1/messages", "openai": "/chat/completions"}
"""What a model is asked by, after its server's base URL."""
SILENCE_SECONDS_MORE = 30
"""How much longer a gateway waits for a byte than the agent: the agent's words are better."""
TAKE_SECONDS = 60


def gateway(plan: Plan, topology: Topology, service: Service, *, offline: bool) -> str:
    """The configuration of an agent's or tool's gateway."""
    assert service.workload is not None  # noqa: S101 - a gateway is some workload's
    kind, _, name = service.workload.identity.partition("/")
    profile = service.workload.profile
    agent = profile if isinstance(profile, AgentProfile) else None
    models = (agent.model, *agent.model.fallbacks) if agent else ()
    routes = _agent_routes(agent, models, offline=offline) if agent else []
    clusters = _agent_clusters(plan, agent, models, offline) if agent else []
    filters = [
        envoy.headers((*IDENTITY, headers.RESERVATION), {headers.AGENT: name} if agent else {})
    ]
    filters += [_lease_check(name), metering.meter()] if agent else []
    grants = egress.granted(service.links)
    ways = [*grants, *([] if offline else (k for k in service.links if k.model))]
    who = egress.Who(f"{kind}s", name)
    address, subnet = _side(topology, service)
    fields = {kind: name}
    manager = envoy.http(
        kind,
        routes,
        [*filters, *egress.filters(ways)],
        domains=[f"{host}{port}" for host in ("gateway", str(address))
                 for port in ("", f":{places.GATEWAY_PORT}")],
        hosts=[*egress.hosts(grants, who), egress.refused(who)],
        upgrade_configs=egress.upgrades(),
        access_log=envoy.log(**fields),
        **({"local_reply_config": metering.replies(name)} if agent else {}),
    )  # fmt: skip
    # Bound to the workload's side, and for its addresses only: a tool on another of the gateway's
    # networks that calls it would otherwise be taken for the agent.
    prefix = {"address_prefix": str(subnet.network_address), "prefix_len": subnet.prefixlen}
    inside = {"source_prefix_ranges": [Flow(prefix)]}
    listeners = [envoy.listener(kind, str(address), places.GATEWAY_PORT, [manager], inside)]
    listeners += egress.listeners(ways, topology.within, **fields)
    existing = _services(plan, topology, service, fields)
    resolving = [*map(grant.way, ways), *([grant.OWN] if existing else [])]
    clusters += egress.clusters(grants, resolving, _ca_file(plan), topology.within)
    listeners += existing
    extensions = egress.extensions() if ways else {}
    head = f"The gateway of the {kind} {name} in the mesh {plan.name}: its only neighbour."
    return yaml_text.dump(
        envoy.bootstrap(listeners, clusters, **extensions), head, width=envoy.WIDTH
    )


def _services(
    plan: Plan, topology: Topology, service: Service, fields: dict[str, str]
) -> list[dict[str, Any]]:
    """A listener for each existing service, bound to the workload's side as all else is."""
    assert service.workload is not None  # noqa: S101 - a gateway is some workload's
    bound = [a for a in service.networks if a.address is not None]
    sides = zip(bound, services.sides(plan, service.workload.identity), strict=True)
    found: dict[tuple[str, int], dict[str, Any]] = {}
    for attached, side in sides:
        subnet = next(n.subnet for n in topology.networks if n.name == attached.network)
        prefix = {"address_prefix": str(subnet.network_address), "prefix_len": subnet.prefixlen}
        inside = {"source_prefix_ranges": [Flow(prefix)]}
        for one in side:
            # One server under two names has one listener.
            found.setdefault((attached.network, one.port), services.listener(
                one, str(attached.address), inside, topology.within, fields))  # fmt: skip
    return list(found.values())


def _side(topology: Topology, service: Service) -> tuple[IPv4Address, IPv4Network]:
    """Where a gateway listens."""
    side = next(a for a in service.networks if a.address is not None)
    subnet = next(n.subnet for n in topology.networks if n.name == side.network)
    assert side.address == subnet[GATEWAY_HOST]  # noqa: S101 - the topology's promise
    return side.address, subnet


def _agent_routes(
    agent: AgentProfile, models: Sequence[ModelProfile], *, offline: bool
) -> list[dict[str, Any]]:
    return [
        _keeper_route(),
        *(_tool_route(tool) for tool in agent.tools),
        *(_model_route(number, model, offline) for number, model in enumerate(models)),
        envoy.refusal(403, _refusal(agent.name)),
    ]


def _agent_clusters(
    plan: Plan,
    agent: AgentProfile,
    models: Sequence[ModelProfile],
    offline: bool,
) -> list[dict[str, Any]]:
    return [
        envoy.cluster("keeper", "keeper", places.KEEPER_PORT),
        *(_tool_cluster(tool.tool) for tool in agent.tools),
        *_model_clusters(plan, models, offline=offline),
    ]


def door(plan: Plan) -> str:
    """The configuration of the door: people's way to the keeper. The keeper checks their token."""
    routes = [
        envoy.route("keeper", "/v1/", "keeper", idle_timeout=f"{TAKE_SECONDS}s"),
        envoy.refusal(404, Fault(code="unknown", reason="there is nothing here").model_dump_json()),
    ]
    filters = [envoy.headers(IDENTITY, {}), _rate_limit()]
    manager = envoy.http("door", routes, filters, access_log=envoy.log(door=plan.name))
    listener = envoy.listener("door", "0.0.0.0", places.DOOR_PORT, [manager])  # noqa: S104 - the published side
    clusters = [envoy.cluster("keeper", "keeper", places.PEOPLE_PORT)]
    head = f"The door of the mesh {plan.name}: the only port that is published."
    return yaml_text.dump(envoy.bootstrap([listener], clusters), head, width=envoy.WIDTH)


def credentials(service: Service) -> tuple[str, ...]:
    """The secrets that a gateway adds, by name."""
    return tuple(sorted({link.credential.secret for link in service.links if link.credential}))


def _keeper_route() -> dict[str, Any]:
    # The keeper checks the lease of each of these itself, and `take` has none yet.
    to = envoy.route("keeper", f"{places.KEEPER_PATH}/v1/", "keeper",
                     prefix_rewrite="/v1/", idle_timeout=f"{TAKE_SECONDS}s")  # fmt: skip
    return {**to, **grant.unchecked()}


def _tool_route(tool: ToolGrant) -> dict[str, Any]:
    silence = f"{tool.timeout_seconds + SILENCE_SECONDS_MORE:g}s"
    prefix = f"{places.TOOLS_PATH}/{tool.tool}/"
    return envoy.route(f"tool {tool.tool}", prefix, _tool(tool.tool),
                       prefix_rewrite="/", idle_timeout=silence)  # fmt: skip


def _model_route(number: int, model: ModelProfile, offline: bool) -> dict[str, Any]:
    url = urlsplit(base_url(model))
    silence = f"{model.timeout_seconds + SILENCE_SECONDS_MORE:g}s"
    path = url.path.rstrip("/") if not offline else _offline_path(model)
    # One call alone: a key also opens the account's files, batches, other people's conversations.
    call = CALLS[model.ref.partition(":")[0]]
    to = envoy.one(f"model {model.ref}", f"{places.MODELS_PATH}/{number}{call}", f"model-{number}",
                   prefix_rewrite=f"{path}{call}", idle_timeout=silence,
                   host_rewrite_literal=url.hostname)  # fmt: skip
    # The script is told which agent asks; no one else outside is.
    hidden = NEVER_OUTSIDE if offline else (*NEVER_OUTSIDE, *IDENTITY)
    marks = {} if offline else grant.marks(to_model("", model))
    return {**to, **metering.ROUTE, **marks, "request_headers_to_remove": Flow(list(hidden))}


def base_url(model: ModelProfile) -> str:
    """Where the model's provider is."""
    provider = model.ref.partition(":")[0]
    version = "/v1" if provider == "openai" else ""
    return model.base_url or f"https://{HOSTS[provider]}{version}"


def _offline_path(model: ModelProfile) -> str:
    return "/v1" if model.ref.startswith("openai:") else ""


def _tool(name: str) -> str:
    return service_name(f"tool/{name}")


def _tool_cluster(tool: str) -> dict[str, Any]:
    return envoy.cluster(_tool(tool), _tool(tool), places.BRIDGE_PORT)


def _model_clusters(
    plan: Plan, models: Sequence[ModelProfile], *, offline: bool
) -> list[dict[str, Any]]:
    names = {f"model-{number}": model for number, model in enumerate(models)}
    if offline:
        return [envoy.cluster(name, "models", places.MODELS_PORT) for name in names]
    # By the listener inside as any grant: a provider's name may be changed by somebody too.
    return [spoken.cluster(name, to_model("", m), _ca_file(plan)) for name, m in names.items()]


def _ca_file(plan: Plan) -> str:
    return envoy.OWN_CA_FILE if plan.trusted_cas else envoy.CA_FILE


def _lease_check(agent: str) -> dict[str, Any]:
    """The keeper says which run and task a request is for, or that its lease is nobody's."""
    exact = [{"exact": name} for name in (headers.RUN, headers.TASK, headers.RESERVATION)]
    return envoy.typed(
        "envoy.filters.http.ext_authz",
        "extensions.filters.http.ext_authz.v3.ExtAuthz",
        allowed_headers={"patterns": [{"exact": headers.STEP}]},
        status_on_error={"code": "ServiceUnavailable"},
        http_service={
            "server_uri": {"uri": "http://keeper", "cluster": "keeper", "timeout": "5s"},
            "path_prefix": "/v1/authorize",
            "authorization_request": {
                "headers_to_add": [Flow({"key": headers.AGENT, "value": agent})]
            },
            "authorization_response": {
                "allowed_upstream_headers": Flow({"patterns": exact}),
                "allowed_client_headers": Flow({"patterns": [{"exact": "content-type"}]}),
                # For the log: a model's route removes the headers again.
                "dynamic_metadata_from_headers": Flow({"patterns": exact[:2]}),
            },
        },
    )


def _rate_limit() -> dict[str, Any]:
    return envoy.typed(
        "envoy.filters.http.local_ratelimit",
        "extensions.filters.http.local_ratelimit.v3.LocalRateLimit",
        **envoy.rate_limit("door", 200, 100, 1),
    )


def _refusal(agent: str) -> str:
    fault = Fault(
        code="grant",
        reason=f"{agent} has no grant for this",
        remedy=f"Grant a tool, a model or a host at agents/{agent} in seawall.yaml",
    )
    return json.dumps(fault.model_dump())
