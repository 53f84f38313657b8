"""What the ways to a granted host have in common: how a request is marked inside the gateway."""

from __future__ import annotations

from typing import Any

from seawall.plan.model import Link
from seawall.wire import headers

from . import envoy
from .yaml_text import Flow

OUT, OWN = "out", "own"
"""The listeners inside: to public addresses, and to those of people's own networks as well."""
METADATA = "seawall"
HIDDEN = (
    headers.AGENT, headers.RUN, headers.TASK, headers.STEP, "proxy-authorization",
    "proxy-connection", "x-forwarded-for", "x-forwarded-proto", "x-request-id",
    "x-envoy-expected-rq-timeout-ms", "x-envoy-external-address", "x-envoy-internal",
)  # fmt: skip
"""What no host outside is told, or may be told by a caller in our name."""
SILENCE_SECONDS = 300


def inward_route(cluster: str) -> dict[str, Any]:
    """To a cluster, for as long as something is said."""
    return {"cluster": cluster, "timeout": "0s", "idle_timeout": f"{SILENCE_SECONDS}s"}


def marked(**values: str) -> dict[str, Any]:
    """What the listener inside is told of a request that takes this route."""
    return {"metadata": {"filter_metadata": {METADATA: Flow(values)}}}


def unchecked() -> dict[str, Any]:
    """No lease is asked for: ordinary clients know of none, and the keeper asks itself."""
    disabled = {"@type": f"{envoy.TYPES}.config.route.v3.FilterConfig", "disabled": True}
    return {"typed_per_filter_config": {"envoy.filters.http.ext_authz": Flow(disabled)}}


def way(link: Link) -> str:
    """The listener inside that a grant goes by."""
    return OWN if "allow_private_addresses" in link.allows else OUT


def marks(link: Link) -> dict[str, Any]:
    """What the listener inside is told: the grant and its port; the host where TLS does not say."""
    host = {"host": host_of(link)} if link.protocol == "http" else {}
    return marked(target=target(link), **host, port=str(link.port))


def inward(
    name: str, listener: str, inner: dict[str, Any] | None = None, **fields: Any
) -> dict[str, Any]:
    """A cluster whose one endpoint is a listener inside, which is told by which grant."""
    address = {"envoy_internal_address": {"server_listener_name": listener}}
    plain = envoy.typed(
        "envoy.transport_sockets.raw_buffer",
        "extensions.transport_sockets.raw_buffer.v3.RawBuffer",
    )
    kind = "extensions.transport_sockets.internal_upstream.v3.InternalUpstreamTransport"
    socket = envoy.typed(
        "envoy.transport_sockets.internal_upstream", kind, transport_socket=inner or plain
    )
    return {
        "name": name,
        **fields,
        "load_assignment": envoy.endpoint(name, address),
        "transport_socket": socket,
    }


def host_of(link: Link) -> str:
    """The host's name of a grant, or its `*.domain`."""
    return link.target.removeprefix("outside/")


def target(link: Link) -> str:
    """A grant's name: host and port."""
    return f"{host_of(link)}:{link.port}"
