"""What leaves a mesh: the part of a gateway's Envoy configuration that lets granted hosts through.

A client speaks to the gateway as to a proxy: CONNECT for TLS, an absolute URI for plain HTTP. What
was granted goes on to a listener inside the gateway, which holds the TLS server name to the grant,
resolves it, and refuses addresses that nobody granted.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network, collapse_addresses
from typing import Any

from seawall.plan.model import Link

from . import envoy, grant, spoken
from .yaml_text import Flow, Why

TARGET = "seawall.target"
"""Filter state: which grant a request was let through by."""
NEVER = ("0.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "192.0.0.0/24", "224.0.0.0/3")
"""No grant reaches these: the gateway itself, its link (a cloud's metadata), groups."""
PRIVATE = ("10.0.0.0/8", "100.64.0.0/10", "172.16.0.0/12", "192.168.0.0/16", "198.18.0.0/15")
"""People's own networks: for a grant with `allow_private_addresses` alone (RFC 6890)."""
TUNNEL_SECONDS_MAX = 3600
SYSTEM_RESOLVER = envoy.typed(
    "envoy.network.dns_resolver.getaddrinfo",
    "extensions.network.dns_resolver.getaddrinfo.v3.GetAddrInfoDnsResolverConfig",
    num_retries=2,
)
"""Asks as a program would, and again after a minute: it is not told how long an answer holds."""


@dataclass(frozen=True)
class Who:
    """Whose gateway this is: `agents` and `lead`, as the spec has them."""

    section: str
    name: str


def granted(links: Sequence[Link]) -> tuple[Link, ...]:
    """The grants among a workload's links, those for its models left out."""
    return tuple(k for k in links if k.target.startswith("outside/") and not k.model)


def hosts(grants: Sequence[Link], who: Who) -> list[dict[str, Any]]:
    """A virtual host for each grant."""
    found = []
    for link in grants:
        if link.rules is not None:
            found.append(spoken.host(link, link.rules, who.name))
        else:
            found.append(_plain(link) if link.protocol == "http" else _tunnel(link))
    return found


def _tunnel(link: Link) -> dict[str, Any]:
    """TLS that the client speaks itself."""
    upgrade = [Flow({"upgrade_type": "CONNECT", "connect_config": {}})]
    return {
        "name": grant.target(link),
        "domains": Flow([grant.target(link)]),
        "routes": [
            {
                "name": f"egress {grant.target(link)}",
                "match": Flow({"connect_matcher": {}}),
                **grant.marks(link),
                "route": {**grant.inward_route(grant.way(link)), "upgrade_configs": upgrade},
            }
        ],
        **grant.unchecked(),
    }


def _plain(link: Link) -> dict[str, Any]:
    """HTTP without TLS, where the spec says `allow_plain_http`."""
    host = grant.host_of(link)
    domains = [grant.target(link), *([host] if link.port == 80 else [])]
    return {
        "name": grant.target(link),
        "domains": Flow(domains),
        "routes": [
            {
                "name": f"egress {grant.target(link)}",
                "match": Flow({"prefix": "/"}),
                **grant.marks(link),
                "route": grant.inward_route(grant.way(link)),
            }
        ],
        "request_headers_to_remove": Flow(list(grant.HIDDEN)),
        **grant.unchecked(),
    }


def refused(who: Who) -> dict[str, Any]:
    """Every other host: 403, with the line that would grant it."""
    secure, plain = ('{{host: "{0}"}}', '{{host: "{0}", allow_plain_http: true}}')
    return {
        "name": "refused",
        "domains": Flow(["*"]),
        "routes": [
            _refusal(who, Flow({"connect_matcher": {}}), secure),
            _refusal(who, Flow({"prefix": "/"}), plain),
        ],
        **grant.unchecked(),
    }


def _refusal(who: Who, match: Flow, line: str) -> dict[str, Any]:
    host = "%REQ(:AUTHORITY)%"
    told = {
        "code": "egress",
        "reason": f"{who.name} may not reach {host}",
        "remedy": f"In seawall.yaml, below {who.section}/{who.name}: egress: [{line.format(host)}]",
        "agent" if who.section == "agents" else "tool": who.name,
        "host": host,
    }
    return {
        "name": "refused",
        "match": match,
        "direct_response": {"status": 403, "body_format": {"json_format": Flow(told)}},
    }


def filters(ways: Sequence[Link]) -> list[dict[str, Any]]:
    """Tells the listener inside by which grant a request was let through."""
    if not ways:
        return []
    kind = "extensions.filters.http.set_filter_state.v3.Config"
    states = [
        _state(TARGET, f"%METADATA(ROUTE:{grant.METADATA}:target)%", "envoy.hashable_string"),
        _state("envoy.upstream.dynamic_host", f"%METADATA(ROUTE:{grant.METADATA}:host)%",
               "envoy.hashable_string"),
        _state("envoy.upstream.dynamic_port", f"%METADATA(ROUTE:{grant.METADATA}:port)%"),
    ]  # fmt: skip
    told = envoy.typed("envoy.filters.http.set_filter_state", kind, on_request_headers=states)
    return [*spoken.filters([link.rules for link in ways if link.rules is not None]), told]


def _state(key: str, text: str, factory: str = "") -> Flow:
    return Flow(
        {
            "object_key": key,
            **({"factory_key": factory} if factory else {}),
            "format_string": {
                "text_format_source": {"inline_string": text},
                "omit_empty_values": True,
            },
            "shared_with_upstream": "ONCE",
            "skip_if_empty": True,
        }
    )


def listeners(ways: Sequence[Link], mesh: IPv4Network, **fields: str) -> list[dict[str, Any]]:
    """The listeners inside that these grants and models go by."""
    names = sorted({grant.way(link) for link in ways})
    by_name = {name: [link for link in ways if grant.way(link) == name] for name in names}
    return [_listener(name, links, mesh, fields) for name, links in by_name.items()]


def _listener(
    name: str, ways: Sequence[Link], mesh: IPv4Network, fields: dict[str, str]
) -> dict[str, Any]:
    """One chain for TLS, one for what is plain."""
    secure = [link for link in ways if link.protocol != "http"]
    plain = [link for link in ways if link.protocol == "http"]
    match = {
        "transport_protocol": "tls",
        "server_names": sorted({grant.host_of(k) for k in secure}),
    }
    chains = [(match, secure)] if secure else []
    chains += [({"transport_protocol": "raw_buffer"}, plain)] if plain else []
    inspector = "extensions.filters.listener.tls_inspector.v3.TlsInspector"
    return {
        "name": name,
        "internal_listener": {},
        "listener_filters": [envoy.typed("envoy.filters.listener.tls_inspector", inspector)],
        "listener_filters_timeout": "5s",
        "filter_chains": [
            {"filter_chain_match": Flow(match), "filters": _checks(name, links, mesh, fields)}
            for match, links in chains
        ],
    }


def _checks(
    name: str, links: Sequence[Link], mesh: IPv4Network, fields: dict[str, str]
) -> list[Any]:
    """In this order: the addresses, the grant, and the way there."""
    proxy = envoy.typed(
        "envoy.filters.network.tcp_proxy",
        "extensions.filters.network.tcp_proxy.v3.TcpProxy",
        stat_prefix=name,
        cluster=beyond(name),
        # The checks before it act on the first bytes; none goes out before they have.
        upstream_connect_mode="ON_DOWNSTREAM_DATA",
        max_early_data_bytes=16384,
        idle_timeout=f"{grant.SILENCE_SECONDS}s",
        max_downstream_connection_duration=f"{TUNNEL_SECONDS_MAX}s",
        access_log=_cut_log(fields),
    )
    return [
        resolver(name, links[0].port, mesh),
        _rbac("grant", {grant.target(link): _named(link) for link in links}),
        proxy,
    ]


def _named(link: Link) -> dict[str, Any]:
    """By which grant the request came, and the name that TLS is told."""
    host = grant.host_of(link)
    name = {"suffix": host[1:]} if host.startswith("*") else {"exact": host}
    sni = {"any": True} if link.protocol == "http" else {"requested_server_name": name}
    came = {"filter_state": {"key": TARGET, "string_match": {"exact": grant.target(link)}}}
    return {"permissions": Flow([sni]), "principals": Flow([came])}


def dns(name: str, mesh: IPv4Network) -> Why:
    """How a listener inside resolves. V4_ONLY: no network of a mesh has IPv6, so no IPv6 spelling
    of an address leads anywhere.

    The filter takes every denied address out of an answer: Envoy tries all that an answer has.
    """
    private = PRIVATE if name == grant.OUT else ()
    denied = collapse_addresses(map(IPv4Network, (*NEVER, str(mesh), *private)))
    ranges = [{"address_prefix": str(c.network_address), "prefix_len": c.prefixlen} for c in denied]
    cache = {"name": name, "dns_lookup_family": "V4_ONLY", "max_hosts": 256, "host_ttl": "60s"}
    more = ", and people's own networks" if private else ""
    why = f"Not this gateway, a link's own addresses, the mesh{more}: taken out of every answer."
    # An engine's own DNS says that a container stays for ten minutes; asked so, it is one.
    more_often = {} if private else {"typed_dns_resolver_config": SYSTEM_RESOLVER}
    return Why(Flow({**cache, **more_often, "resolved_address_filter": {"ranges": ranges}}), why)


def resolver(name: str, port: int, mesh: IPv4Network) -> dict[str, Any]:
    """The filter of a listener inside that looks a connection's host up."""
    return envoy.typed(
        "envoy.filters.network.sni_dynamic_forward_proxy",
        "extensions.filters.network.sni_dynamic_forward_proxy.v3.FilterConfig",
        port_value=port,
        dns_cache_config=dns(name, mesh),
    )


def beyond(name: str) -> str:
    """The cluster of the addresses that a listener inside resolves to."""
    return f"{name} addresses"


def _rbac(name: str, policies: dict[str, Any]) -> dict[str, Any]:
    kind = "extensions.filters.network.rbac.v3.RBAC"
    rules = {"action": "ALLOW", "policies": policies}
    return envoy.typed("envoy.filters.network.rbac", kind, stat_prefix=name, rules=rules)


def _cut_log(fields: dict[str, str]) -> list[Any]:
    """A line for each connection that a check cut; the request's own line shows it as begun."""
    line = {
        "time": "%START_TIME%",
        **fields,
        "host": "%REQUESTED_SERVER_NAME%",
        "rule": f"%FILTER_STATE({TARGET}:PLAIN)%",
        "status": 403,
        "details": "%CONNECTION_TERMINATION_DETAILS%",
        "flags": "%RESPONSE_FLAGS_LONG%",
    }
    # 2 is NoHealthyUpstream: no address, or none that is not denied.
    when = "connection.termination_details != '' || response.flags == 2"
    return [envoy.stdout(Flow(line), when)]


def clusters(
    grants: Sequence[Link], names: Iterable[str], ca_file: str, mesh: IPv4Network
) -> list[dict[str, Any]]:
    """To the listeners inside, and from those of these names to the addresses that are left."""
    tunnels = sorted({grant.way(link) for link in grants if link.rules is None})
    spoken_to = [link for link in grants if link.rules is not None]
    return [
        *(grant.inward(name, name) for name in tunnels),
        *(spoken.cluster(spoken.cluster_name(link), link, ca_file) for link in spoken_to),
        *(_addresses(name, mesh) for name in sorted(set(names))),
    ]


def _addresses(name: str, mesh: IPv4Network) -> dict[str, Any]:
    return {
        "name": beyond(name),
        "lb_policy": "CLUSTER_PROVIDED",
        "connect_timeout": f"{envoy.CONNECT_SECONDS}s",
        "cluster_type": envoy.typed(
            "envoy.clusters.dynamic_forward_proxy",
            "extensions.clusters.dynamic_forward_proxy.v3.ClusterConfig",
            dns_cache_config=dns(name, mesh),
        ),
    }


def extensions() -> dict[str, Any]:
    """What the whole file needs for a listener inside."""
    kind = "extensions.bootstrap.internal_listener.v3.InternalListener"
    return {"bootstrap_extensions": [envoy.typed("envoy.bootstrap.internal_listener", kind)]}


def upgrades() -> list[Any]:
    """What a client may ask for besides plain requests; a route must still take it."""
    return [Flow({"upgrade_type": "CONNECT"})]
