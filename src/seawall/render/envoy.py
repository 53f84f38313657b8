"""Pieces of Envoy configuration that every gateway and the door are made of.

Source of names and defaults: Envoy 1.40's API reference.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from seawall.wire import headers as headers_

from .yaml_text import Flow

TYPES = "type.googleapis.com/envoy"
CA_FILE = "/etc/ssl/certs/ca-certificates.crt"
OWN_CA_FILE = "/etc/envoy/ca-certificates.crt"
"""The public CAs with those that the spec trusts besides them (`dockerfile.py` makes it)."""
HEALTH_PORT = 9000
CONNECT_SECONDS = 5
BUFFER_BYTES = 1024**2
HEADERS_KIB_MAX = 60
WIDTH = 180
"""Of a rendered line: what fits stays on one, so that a whole gateway can be read."""


def typed(name: str, kind: str, **fields: Any) -> dict[str, Any]:
    """An extension by name, with its typed configuration."""
    return {"name": name, "typed_config": {"@type": f"{TYPES}.{kind}", **fields}}


def listener(
    name: str, address: str, port: int, filters: list[Any], match: dict[str, Any] | None = None
) -> dict[str, Any]:
    """One address and what happens to its connections."""
    chain = {"filter_chain_match": match} if match else {}
    return {
        "name": name,
        "address": {"socket_address": Flow({"address": address, "port_value": port})},
        "per_connection_buffer_limit_bytes": BUFFER_BYTES,
        "filter_chains": [{**chain, "filters": filters}],
    }


def http(
    name: str,
    routes: list[Any],
    filters: Sequence[Any],
    *,
    domains: Sequence[str] = ("*",),
    hosts: Sequence[Any] = (),
    **fields: Any,
) -> dict[str, Any]:
    """The HTTP connection manager, strict about what it takes for a request.

    `routes` are for `domains`; `hosts` are virtual hosts besides.
    """
    own = [{"name": name, "domains": Flow(list(domains)), "routes": routes}] if routes else []
    return typed(
        "envoy.filters.network.http_connection_manager",
        "extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        stat_prefix=name,
        use_remote_address=True,
        skip_xff_append=True,
        normalize_path=True,
        merge_slashes=True,
        path_with_escaped_slashes_action="REJECT_REQUEST",
        max_request_headers_kb=HEADERS_KIB_MAX,
        request_headers_timeout="10s",
        stream_idle_timeout="60s",
        common_http_protocol_options=Flow(
            {
                "idle_timeout": "300s",
                "headers_with_underscores_action": "REJECT_REQUEST",
                "max_headers_count": 100,
            }
        ),
        **fields,
        route_config={"name": name, "virtual_hosts": [*own, *hosts]},
        http_filters=[
            *filters,
            typed(
                "envoy.filters.http.router",
                "extensions.filters.http.router.v3.Router",
                suppress_envoy_headers=True,
            ),
        ],
    )


def log(**fields: str) -> list[Any]:
    """One JSON line a request to standard output: no query, no header, no body."""
    line = {
        "time": "%START_TIME%",
        **fields,
        "run": _said(headers_.RUN),
        "task": _said(headers_.TASK),
        "method": "%REQ(:METHOD)%",
        "host": "%REQ(:AUTHORITY)%",
        "path": "%PATH(NQ:ORIG_OR_PATH)%",
        "rule": "%ROUTE_NAME%",
        "status": "%RESPONSE_CODE%",
        "details": "%RESPONSE_CODE_DETAILS%",
        "received": "%BYTES_RECEIVED%",
        "sent": "%BYTES_SENT%",
        "ms": "%DURATION%",
    }
    return [stdout(Flow(line))]


def _said(header: str) -> str:
    """What the keeper said of a request's lease. Not the header: a model's route removes it."""
    return f"%DYNAMIC_METADATA(envoy.filters.http.ext_authz:{header})%"


def stdout(line: dict[str, Any] | Flow, when: str = "") -> dict[str, Any]:
    """An access log of such lines as JSON; `when`: an expression (CEL) that must hold."""
    form = {"json_format": line, "json_format_options": Flow({"sort_properties": False})}
    kind = "extensions.access_loggers.stream.v3.StdoutAccessLog"
    made = typed("envoy.access_loggers.stdout", kind, log_format=form)
    if not when:
        return made
    cel = typed(
        "envoy.access_loggers.extension_filters.cel",
        "extensions.access_loggers.filters.cel.v3.ExpressionFilter",
        expression=when,
    )
    return {**made, "filter": {"extension_filter": cel}}


def rate_limit(stat_prefix: str, tokens: int, fill: int, seconds: int) -> dict[str, Any]:
    """The fields of a local rate limit that holds for every request: `fill` tokens a `seconds`."""
    whole = Flow({"default_value": {"numerator": 100, "denominator": "HUNDRED"}})
    return {
        "stat_prefix": stat_prefix,
        "token_bucket": Flow(
            {"max_tokens": tokens, "tokens_per_fill": fill, "fill_interval": f"{seconds}s"}
        ),
        "filter_enabled": whole,
        "filter_enforced": whole,
    }


def headers(remove: Sequence[str], put: dict[str, str]) -> dict[str, Any]:
    """A filter that strips what a caller may not say, and says who it is instead."""
    overwrite = "OVERWRITE_IF_EXISTS_OR_ADD"
    named = {"safe_regex": {"regex": "|".join(remove)}}
    mutations: list[Any] = [{"remove_on_match": {"key_matcher": named}}] if remove else []
    mutations += [
        Flow({"append": {"header": {"key": key, "value": value}, "append_action": overwrite}})
        for key, value in put.items()
    ]
    kind = "extensions.filters.http.header_mutation.v3.HeaderMutation"
    fields = {"mutations": {"request_mutations": mutations}}
    return typed("envoy.filters.http.header_mutation", kind, **fields)


def route(name: str, prefix: str, cluster: str, **action: Any) -> dict[str, Any]:
    """Requests below `prefix` go to a cluster; a response may take as long as it needs."""
    return {
        "name": name,
        "match": Flow({"prefix": prefix}),
        "route": {"cluster": cluster, "timeout": "0s", **action},
    }


def one(name: str, path: str, cluster: str, **action: Any) -> dict[str, Any]:
    """POST to `path` goes to a cluster, and nothing else of that server is reached."""
    post = {"name": ":method", "string_match": {"exact": "POST"}}
    return {**route(name, "", cluster, **action), "match": {"path": path, "headers": [post]}}


def refusal(status: int, body: str) -> dict[str, Any]:
    """Everything that no route before it takes."""
    return {
        "name": "refused",
        "match": {"prefix": "/"},
        "direct_response": {"status": status, "body": {"inline_string": body}},
        "response_headers_to_add": [
            Flow(
                {
                    "header": {"key": "content-type", "value": "application/json"},
                    "append_action": "OVERWRITE_IF_EXISTS_OR_ADD",
                }
            )
        ],
    }


def cluster(name: str, host: str, port: int, **fields: Any) -> dict[str, Any]:
    """Every address that a name stands for; looked up again every few seconds."""
    return {
        "name": name,
        "type": "STRICT_DNS",
        "dns_lookup_family": "V4_PREFERRED",
        "dns_failure_refresh_rate": Flow({"base_interval": "0.2s", "max_interval": "2s"}),
        "connect_timeout": f"{CONNECT_SECONDS}s",
        **fields,
        "load_assignment": endpoint(
            name, {"socket_address": {"address": host, "port_value": port}}
        ),
    }


def endpoint(name: str, address: dict[str, Any]) -> dict[str, Any]:
    """A cluster's one endpoint."""
    ends = [{"lb_endpoints": [{"endpoint": {"address": address}}]}]
    return {"cluster_name": name, "endpoints": Flow(ends)}


def tls(host: str, ca_file: str = CA_FILE) -> dict[str, Any]:
    """To a server that proves to be `host`, by the CAs of a file in the image."""
    context = {
        "sni": host,
        "common_tls_context": {
            "validation_context": {
                "trusted_ca": {"filename": ca_file},
                "match_typed_subject_alt_names": [{"san_type": "DNS", "matcher": {"exact": host}}],
            }
        },
    }
    kind = "extensions.transport_sockets.tls.v3.UpstreamTlsContext"
    return {"transport_socket": typed("envoy.transport_sockets.tls", kind, **context)}


def upstream(*filters: Any) -> dict[str, Any]:
    """HTTP to a cluster, with filters on its side."""
    codec = typed(
        "envoy.filters.http.upstream_codec",
        "extensions.filters.http.upstream_codec.v3.UpstreamCodec",
    )
    options = {
        "@type": f"{TYPES}.extensions.upstreams.http.v3.HttpProtocolOptions",
        "explicit_http_config": {"http_protocol_options": {}},
        "http_filters": [*filters, codec],
    }
    name = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
    return {"typed_extension_protocol_options": {name: options}}


def health() -> dict[str, Any]:
    """A listener that only the container itself reaches: HEALTHCHECK connects to it."""
    kind = "extensions.filters.network.direct_response.v3.Config"
    answer = typed("envoy.filters.network.direct_response", kind)
    return listener("health", "127.0.0.1", HEALTH_PORT, [answer])


def bootstrap(listeners: list[Any], clusters: list[Any], **extensions: Any) -> dict[str, Any]:
    """The whole file. No admin port: what it tells and does is nobody's in the mesh."""
    limit = typed(
        "envoy.resource_monitors.global_downstream_max_connections",
        "extensions.resource_monitors.downstream_connections.v3.DownstreamConnectionsConfig",
        max_active_downstream_connections=10_000,
    )
    seldom = {"miss_timeout": "10s", "megamiss_timeout": "10s"}
    return {
        "node": {"id": "gateway", "cluster": "seawall"},
        **extensions,
        # Envoy's own ends nothing unless told to; it woke each thread ten times a second, which was
        # two thirds of what an idle gateway cost.
        "watchdogs": {"main_thread_watchdog": seldom, "worker_watchdog": seldom},
        "overload_manager": {"resource_monitors": [limit]},
        "static_resources": {"listeners": [*listeners, health()], "clusters": clusters},
    }
