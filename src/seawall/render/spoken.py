"""Hosts that the gateway itself speaks to: it adds keys and holds requests to methods and paths.

The client says http:// to it and the gateway TLS to the host, so no client ever holds the key.
"""

from __future__ import annotations

from typing import Any

from seawall.plan.model import Link, Rules

from . import envoy, grant
from .injection import injector
from .yaml_text import Flow

BODY_BYTES_MAX = 64 * 1024**2
SECRETS_OF_CLIENTS = ("authorization", "cookie", "x-api-key")
"""What a client sends of these is not for a host whose key the gateway adds."""


def host(link: Link, rules: Rules, name: str) -> dict[str, Any]:
    """The virtual host of a grant."""
    target = grant.target(link)
    named = grant.host_of(link)
    limits = _limits(rules)
    routes = [_route(link, match, limits) for match in _matches(rules)]
    hint = f"{target} is reached through the gateway: say http://{named} to it, it adds TLS"
    refusals = [(Flow({"connect_matcher": {}}), hint)]
    if rules.methods or rules.paths:
        fault = f"{name} may reach {target}, by {_told(rules)} alone"
        refusals.append((Flow({"prefix": "/"}), fault))
    hidden = [*grant.HIDDEN, *(SECRETS_OF_CLIENTS if link.credential else ())]
    return {
        "name": target,
        "domains": Flow(sorted({named, f"{named}:80", target})),
        "routes": [*routes, *(_refused(match, fault) for match, fault in refusals)],
        "request_headers_to_remove": Flow(hidden),
        **grant.unchecked(),
    }


def _route(link: Link, match: dict[str, Any], limits: dict[str, Any]) -> dict[str, Any]:
    target = grant.target(link)
    standard = 80 if link.protocol == "http" else 443
    written = grant.host_of(link) if link.port == standard else target
    return {
        "name": f"egress {target}",
        "match": match,
        **grant.marks(link),
        "route": {**grant.inward_route(cluster_name(link)), "host_rewrite_literal": written},
        **limits,
    }


def _matches(rules: Rules) -> list[dict[str, Any]]:
    """A match for each path, held to the methods."""
    methods = "|".join(rules.methods)
    held = {"name": ":method", "string_match": {"safe_regex": {"regex": methods}}}
    more = {"headers": [Flow(held)]} if methods else {}
    # `/v1` is not `/v1x`: a prefix ends where a part of the path does.
    keys = [("prefix" if p.endswith("/") else "path_separated_prefix", p) for p in rules.paths]
    return [{key: path, **more} for key, path in keys or [("prefix", "/")]]


def _told(rules: Rules) -> str:
    methods = ", ".join(rules.methods) or "any method"
    return f"{methods} below {', '.join(rules.paths) or '/'}"


def _refused(match: Flow, reason: str) -> dict[str, Any]:
    told = {"code": "egress", "reason": reason}
    answer = {"status": 403, "body_format": {"json_format": told}}
    return {"name": "refused", "match": match, "direct_response": answer}


def _limits(rules: Rules) -> dict[str, Any]:
    found = {}
    if rules.requests_per_minute is not None:
        found[RATE] = _rate(rules.requests_per_minute)
    if rules.body_bytes_max is not None:
        size = {"max_request_bytes": min(rules.body_bytes_max, BODY_BYTES_MAX)}
        kind = f"{envoy.TYPES}.extensions.filters.http.buffer.v3.BufferPerRoute"
        found[SIZE] = {"@type": kind, "buffer": size}
    return {"typed_per_filter_config": found} if found else {}


RATE = "envoy.filters.http.local_ratelimit"
SIZE = "envoy.filters.http.buffer"


def _rate(per_minute: int) -> dict[str, Any]:
    return {
        "@type": f"{envoy.TYPES}.extensions.filters.http.local_ratelimit.v3.LocalRateLimit",
        **envoy.rate_limit("egress", per_minute, per_minute, 60),
        "enable_retry_after_header": True,
    }


def filters(grants: list[Rules]) -> list[dict[str, Any]]:
    """What the limits need in the chain of filters; off but where a route says otherwise."""
    found = []
    if any(rules.requests_per_minute is not None for rules in grants):
        kind = "extensions.filters.http.local_ratelimit.v3.LocalRateLimit"
        found.append({**envoy.typed(RATE, kind, stat_prefix="egress"), "disabled": True})
    if any(rules.body_bytes_max is not None for rules in grants):
        kind = "extensions.filters.http.buffer.v3.Buffer"
        limit = envoy.typed(SIZE, kind, max_request_bytes=BODY_BYTES_MAX)
        found.append({**limit, "disabled": True})
    return found


def cluster_name(link: Link) -> str:
    """The cluster of a grant."""
    return f"out {grant.target(link)}"


def cluster(name: str, link: Link, ca_file: str) -> dict[str, Any]:
    """To the host by way of the listener inside, with the key added on that side."""
    secure = link.protocol != "http"
    inner = envoy.tls(grant.host_of(link), ca_file)["transport_socket"] if secure else None
    added = envoy.upstream(injector(link.credential)) if link.credential else {}
    return grant.inward(name, grant.way(link), inner, **added)
