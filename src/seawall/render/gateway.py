"""The Envoy configuration of one agent's gateway, and of the door.

A gateway listens on its agent's side only, says who asks over whatever the agent says of itself,
has the keeper check the lease, and adds keys that the agent never sees.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

from seawall.plan.model import Credential, Link, Plan
from seawall.spec.profiles import HOSTS
from seawall.wire import headers, places
from seawall.wire.messages import Fault
from seawall.wire.profiles import AgentProfile, ModelProfile, ToolGrant

from . import envoy, yaml_text
from .topology import GATEWAY_HOST, Service, Topology, service_name

IDENTITY = (headers.AGENT, headers.RUN, headers.TASK)
NEVER_OUTSIDE = ("authorization", "x-api-key", "cookie", "proxy-authorization", "x-seawall-step")
"""What an agent sends that no provider is told: a lease token is not for them."""
CALLS = {"anthropic": "/v1/messages", "openai": "/chat/completions"}
"""What a model is asked by, after its server's base URL."""
SILENCE_SECONDS_MORE = 30
"""How much longer a gateway waits for a byte than the agent: the agent's words are better."""
TAKE_SECONDS = 60


def gateway(plan: Plan, topology: Topology, service: Service, *, offline: bool) -> str:
    """The configuration of one agent's gateway."""
    assert service.workload is not None  # noqa: S101 - a gateway is some workload's
    name = service.workload.identity.partition("/")[2]
    profile = service.workload.profile
    assert isinstance(profile, AgentProfile)  # noqa: S101 - others are refused before
    models = (profile.model, *profile.model.fallbacks)
    routes = [
        _keeper_route(),
        *(_tool_route(grant) for grant in profile.tools),
        *(_model_route(number, model, offline) for number, model in enumerate(models)),
        envoy.refusal(403, _refusal(name)),
    ]
    clusters = [
        envoy.cluster("keeper", "keeper", places.KEEPER_PORT),
        *(_tool_cluster(grant.tool) for grant in profile.tools),
        *_model_clusters(plan, models, service.links, offline=offline),
    ]
    filters = [envoy.headers(IDENTITY, {headers.AGENT: name}), _lease_check(name)]
    manager = envoy.http("agent", routes, filters, access_log=envoy.log(agent=name))
    side = next(a for a in service.networks if a.address is not None)
    subnet = next(n.subnet for n in topology.networks if n.name == side.network)
    assert side.address == subnet[GATEWAY_HOST]  # noqa: S101 - the topology's promise
    # Bound to the agent's side, and for its addresses only: a tool on another of the gateway's
    # networks that calls it would otherwise be taken for the agent.
    inside = {
        "source_prefix_ranges": [
            {"address_prefix": str(subnet.network_address), "prefix_len": subnet.prefixlen}
        ]
    }
    listener = envoy.listener("agent", str(side.address), places.GATEWAY_PORT, [manager], inside)
    head = f"The gateway of the agent {name} in the mesh {plan.name}: its only neighbour."
    return yaml_text.dump(envoy.bootstrap([listener], clusters), head)


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
    return yaml_text.dump(envoy.bootstrap([listener], clusters), head)


def key_file(secret: str) -> str:
    """A secret as Envoy's discovery names it: where its value is, never what it is."""
    value = {
        "filename": f"{places.SECRETS}/{secret}",
        # A directory is watched, and a new value moved into it takes effect at once.
        "watched_directory": {"path": places.SECRETS},
    }
    kind = f"{envoy.TYPES}.extensions.transport_sockets.tls.v3.Secret"
    resource = {"@type": kind, "name": secret, "generic_secret": {"secret": value}}
    return yaml_text.dump({"resources": [resource]}, f"Where Envoy finds the secret {secret}.")


def credentials(service: Service) -> tuple[str, ...]:
    """The secrets that a gateway adds, by name."""
    return tuple(sorted({link.credential.secret for link in service.links if link.credential}))


def _keeper_route() -> dict[str, Any]:
    # The keeper checks the lease of each of these itself, and `take` has none yet.
    unchecked = {"envoy.filters.http.ext_authz": {
        "@type": f"{envoy.TYPES}.extensions.filters.http.ext_authz.v3.ExtAuthzPerRoute",
        "disabled": True,
    }}  # fmt: skip
    to = envoy.route("keeper", f"{places.KEEPER_PATH}/v1/", "keeper",
                     prefix_rewrite="/v1/", idle_timeout=f"{TAKE_SECONDS}s")  # fmt: skip
    return {**to, "typed_per_filter_config": unchecked}


def _tool_route(grant: ToolGrant) -> dict[str, Any]:
    silence = f"{grant.timeout_seconds + SILENCE_SECONDS_MORE:g}s"
    prefix = f"{places.TOOLS_PATH}/{grant.tool}/"
    return envoy.route(f"tool {grant.tool}", prefix, _tool(grant.tool),
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
    return {**to, "request_headers_to_remove": list(hidden)}


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
    plan: Plan, models: Sequence[ModelProfile], links: tuple[Link, ...], *, offline: bool
) -> list[dict[str, Any]]:
    names = {f"model-{number}": model for number, model in enumerate(models)}
    if offline:
        return [envoy.cluster(name, "models", places.MODELS_PORT) for name in names]
    ca_file = envoy.OWN_CA_FILE if plan.trusted_cas else envoy.CA_FILE
    return [_model_cluster(name, model, links, ca_file) for name, model in names.items()]


def _model_cluster(
    name: str, model: ModelProfile, links: tuple[Link, ...], ca_file: str
) -> dict[str, Any]:
    url = urlsplit(base_url(model))
    host = url.hostname or ""
    secure = url.scheme == "https"
    port = url.port or (443 if secure else 80)
    link = next(k for k in links if k.target == f"outside/{host}" and k.port == port)
    fields = envoy.tls(host, ca_file) if secure else {}
    if link.credential is not None:
        fields |= envoy.upstream(_injector(link.credential))
    return envoy.cluster(name, host, port, **fields)


def _injector(credential: Credential) -> dict[str, Any]:
    """Adds the key on the provider's side of the gateway, over whatever is there."""
    kind = "extensions.http.injected_credentials.generic.v3.Generic"
    source = {
        "path_config_source": {"path": f"/etc/envoy/{credential.secret}.yaml"},
        "resource_api_version": "V3",
    }
    generic: dict[str, Any] = {
        "credential": {"name": credential.secret, "sds_config": source},
        "header": credential.header,
    }
    if credential.prefix:
        generic["header_value_prefix"] = credential.prefix
    return envoy.typed(
        "envoy.filters.http.credential_injector",
        "extensions.filters.http.credential_injector.v3.CredentialInjector",
        overwrite=True,
        credential=envoy.typed("envoy.http.injected_credentials.generic", kind, **generic),
    )


def _lease_check(agent: str) -> dict[str, Any]:
    """The keeper says which run and task a request is for, or that its lease is nobody's."""
    exact = [{"exact": name} for name in (headers.RUN, headers.TASK)]
    return envoy.typed(
        "envoy.filters.http.ext_authz",
        "extensions.filters.http.ext_authz.v3.ExtAuthz",
        status_on_error={"code": "ServiceUnavailable"},
        http_service={
            "server_uri": {"uri": "http://keeper", "cluster": "keeper", "timeout": "5s"},
            "path_prefix": "/v1/authorize",
            "authorization_request": {"headers_to_add": [{"key": headers.AGENT, "value": agent}]},
            "authorization_response": {
                "allowed_upstream_headers": {"patterns": exact},
                "allowed_client_headers": {"patterns": [{"exact": "content-type"}]},
            },
        },
    )


def _rate_limit() -> dict[str, Any]:
    bucket = {"max_tokens": 200, "tokens_per_fill": 100, "fill_interval": "1s"}
    whole = {"default_value": {"numerator": 100, "denominator": "HUNDRED"}}
    return envoy.typed(
        "envoy.filters.http.local_ratelimit",
        "extensions.filters.http.local_ratelimit.v3.LocalRateLimit",
        stat_prefix="door",
        token_bucket=bucket,
        filter_enabled=whole,
        filter_enforced=whole,
    )


def _refusal(agent: str) -> str:
    fault = Fault(
        code="grant",
        reason=f"{agent} has no grant for this",
        remedy=f"Grant a tool, a model or a host at agents/{agent} in seawall.yaml",
    )
    return json.dumps(fault.model_dump())
