"""Who may reach whom, and which secrets that takes. What is not listed here is not reachable."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from ipaddress import ip_address
from urllib.parse import urlsplit

from seawall.spec.base import BearerAuth, Egress, HeaderAuth, QueryAuth
from seawall.spec.model import CommandSecret, EnvSecret, FileSecret, Spec
from seawall.spec.profiles import HOSTS
from seawall.spec.profiles import profile as model_profile
from seawall.spec.tools import ProgramKeys, UrlSpec
from seawall.wire.profiles import ModelProfile

from .model import Credential, ExistingService, Link, Rules, Secret

KEEPER_PORT = 8080
BROKER_PORT = 6379
ENGINE_HOST = "host.docker.internal"
"""Docker's name for the machine that it runs on."""
MCP_PORT = 8080


def links(spec: Spec) -> tuple[Link, ...]:
    """Every connection that the mesh needs, sorted."""
    found = {
        Link(source="door", target="keeper", port=KEEPER_PORT, protocol="http"),
        Link(source="keeper", target="broker", port=BROKER_PORT, protocol="redis"),
    }
    for name in spec.agents:
        found.update(_of_agent(spec, name))
    for name in spec.tools:
        found.update(_of_tool(spec, name))
    return tuple(sorted(found, key=lambda link: link.model_dump_json()))


def _of_agent(spec: Spec, name: str) -> Iterator[Link]:
    agent, source = spec.agents[name], f"agent/{name}"
    yield Link(source=source, target="keeper", port=KEEPER_PORT, protocol="http", identity=name)
    granted: dict[str, set[str]] = defaultdict(set)
    for grant in agent.tools:
        tool, _, pattern = grant.partition("/")
        granted[tool].add(pattern or "*")
    for tool, functions in granted.items():
        yield Link(
            source=source,
            target=f"tool/{tool}",
            port=MCP_PORT,
            protocol="mcp",
            functions=("*",) if "*" in functions else tuple(sorted(functions)),
            identity=name,
        )
    model = agent.model or spec.defaults.model
    if model is not None:
        profile = model_profile(spec, model)
        for one in (profile, *profile.fallbacks):
            yield to_model(source, one)
    yield from _outside(spec, source, agent.egress, agent.connects)


def _of_tool(spec: Spec, name: str) -> Iterator[Link]:
    tool, source = spec.tools[name], f"tool/{name}"
    if isinstance(tool, UrlSpec):
        yield _to_server(source, tool)
    yield from _outside(spec, source, tool.egress, tool.connects)


def to_model(source: str, model: ModelProfile) -> Link:
    """From an agent to the server of one of its models."""
    provider = model.ref.partition(":")[0]
    credential = None
    if model.secret is not None:
        anthropic = provider == "anthropic"
        credential = Credential(
            secret=model.secret,
            header="x-api-key" if anthropic else "authorization",
            prefix="" if anthropic else "Bearer ",
        )
    url = model.base_url or f"https://{HOSTS[provider]}"
    link = _to_url(source, url, credential, private=model.allow_private_addresses)
    return link.model_copy(update={"model": True})


def _to_server(source: str, tool: UrlSpec) -> Link:
    """From a bridge to the MCP server at a URL: its one endpoint, whoever else shares the host."""
    link = _to_url(
        source,
        tool.url,
        _credential(tool.auth),
        plain=tool.allow_plain_http,
        private=tool.allow_private_addresses,
    )
    rules = Rules(methods=("DELETE", "GET", "POST"), paths=(urlsplit(tool.url).path or "/",))
    return link.model_copy(update={"rules": rules})


def _to_url(
    source: str,
    url: str,
    credential: Credential | None,
    *,
    plain: bool = False,
    private: bool = False,
) -> Link:
    parts = urlsplit(url)
    secure = parts.scheme == "https"
    host = parts.hostname or ""
    allows = {
        "allow_plain_http": plain and not secure,
        "allow_private_addresses": private or _says_private(host),
    }
    return Link(
        source=source,
        target=f"outside/{host}",
        port=parts.port or (443 if secure else 80),
        protocol="https" if secure else "http",
        credential=credential,
        allows=tuple(key for key, allowed in allows.items() if allowed),
    )


def _says_private(host: str) -> bool:
    """Whether it can only be meant privately: an address that is, or the engine's machine."""
    try:
        return not ip_address(host).is_global
    except ValueError:
        return host == ENGINE_HOST


def _outside(
    spec: Spec, source: str, egress: tuple[Egress, ...], connects: tuple[str, ...]
) -> Iterator[Link]:
    for one in egress:
        allows = {
            "allow_plain_http": one.allow_plain_http,
            "allow_private_addresses": one.allow_private_addresses,
        }
        yield Link(
            source=source,
            target=f"outside/{one.host}",
            port=one.port,
            protocol="http" if one.allow_plain_http else "https",
            credential=_credential(one.auth),
            rules=_rules(one),
            allows=tuple(key for key, allowed in allows.items() if allowed),
        )
    for service in connects:
        port = spec.services[service].port
        yield Link(source=source, target=f"service/{service}", port=port, protocol="tcp")


def _rules(one: Egress) -> Rules | None:
    if not one.by_gateway:
        return None
    return Rules(
        methods=tuple(sorted(one.methods)),
        paths=tuple(sorted(one.paths)),
        requests_per_minute=one.requests_per_minute,
        body_bytes_max=one.body,
    )


def _credential(auth: BearerAuth | HeaderAuth | QueryAuth | None) -> Credential | None:
    if auth is None:
        return None
    if isinstance(auth, BearerAuth):
        return Credential(secret=auth.bearer, header="authorization", prefix="Bearer ")
    if isinstance(auth, QueryAuth):
        return Credential(secret=auth.secret, query=auth.query)
    return Credential(secret=auth.secret, header=auth.header, prefix=auth.prefix)


def services(spec: Spec, connections: tuple[Link, ...]) -> tuple[ExistingService, ...]:
    """The existing services that somebody connects to."""
    found = {k.target.removeprefix("service/") for k in connections if k.protocol == "tcp"}
    return tuple(
        ExistingService(name=name, host=one.host, port=one.port, network=one.network)
        for name, one in sorted(spec.services.items())
        if name in found
    )


def secrets(spec: Spec, connections: tuple[Link, ...]) -> tuple[Secret, ...]:
    """Every secret that is declared or used, with who is given it."""
    readers: dict[str, set[str]] = {name: set() for name in spec.secrets}
    for link in connections:
        if link.credential is not None:
            readers.setdefault(link.credential.secret, set()).add(f"gateway of {link.source}")
    direct = set()
    for name, tool in spec.tools.items():
        for secret in tool.secrets if isinstance(tool, ProgramKeys) else ():
            readers.setdefault(secret, set()).add(f"tool/{name}")
            direct.add(secret)
    return tuple(
        _secret(spec, name).model_copy(
            update={
                "readers": tuple(sorted(readers[name])),
                "on_change": "restart" if name in direct else "reload",
            }
        )
        for name in sorted(readers)
    )


def _secret(spec: Spec, name: str) -> Secret:
    match spec.secrets.get(name):
        case EnvSecret(env=env):
            return Secret(name=name, env=env)
        case FileSecret(file=file):
            return Secret(name=name, file=file)
        case CommandSecret(command=command):
            return Secret(name=name, command=command)
    return Secret.from_env(name)
