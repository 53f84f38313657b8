"""One Dockerfile with a stage for every image of the mesh; all of them stand on the base.

Only the base is pulled. Servers come from Debian (Redis) and PyPI (Envoy), everything by hash.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib import resources
from typing import Literal

from seawall import __version__
from seawall.plan.model import Plan, Workload
from seawall.wire import places
from seawall.wire.profiles import BridgeProfile, MemoryTool

from . import envoy
from .topology import Service, Topology

BASE = "python:3.13-slim@sha256:7c61056e61ac89e852de05f3dc6fa51a6dd2181797bceed46aa725dd7cb2cd3b"
"""The one image that is pulled, unless `images.base` names another."""

Role = Literal["keeper", "runtime", "bridge", "memory", "models", "gateway", "broker"]

PARTS: Mapping[str, tuple[str, ...]] = {
    "keeper": ("keeper",),
    "runtime": ("runtime", "models"),
    "bridge": ("bridges",),
    "memory": ("bridges", "memory"),
    "models": ("models",),
}
"""Of Seawall's own code, what each image holds besides errors, wire and containers."""
SHARED_PARTS = ("__init__.py", "errors.py", "wire", "containers")
PROGRAMS = {
    "keeper": "seawall.containers.keeper",
    "runtime": "seawall.containers.agent",
    "bridge": "seawall.containers.bridge",
    "memory": "seawall.containers.bridge",
    "models": "seawall.containers.models",
}


@dataclass(frozen=True)
class Image:
    """One service's image: the stage that makes it, and a digest of all that goes in."""

    target: str
    digest: str


def role(service: Service) -> Role:
    """Which kind of image a service has."""
    match service.kind:
        case "agent":
            return "runtime"
        case "door" | "gateway":
            return "gateway"
        case "tool":
            profile = service.workload.profile if service.workload else None
            memory = isinstance(profile, BridgeProfile) and isinstance(profile.source, MemoryTool)
            return "memory" if memory else "bridge"
    return service.kind


def dockerfile(plan: Plan, topology: Topology, base: str) -> str:
    """The whole file."""
    roles = sorted({role(service) for service in topology.services})
    stages = [_head(plan, base), stage("builder"), stage("floor")]
    stages += [role_stages(name) for name in roles]
    stages += [_final(plan, service) for service in topology.services]
    return "\n".join(stages)


def lock(name: str) -> str:
    """A lock that ships with Seawall."""
    file = resources.files("seawall.render") / "locks" / f"{name}.lock"
    return file.read_text("utf-8")


def locks(topology: Topology) -> dict[str, str]:
    """The locks that the Dockerfile reads, by file name."""
    roles = {role(service) for service in topology.services} - {"broker"}
    names = sorted(roles | ({"weights"} if "memory" in roles else set()))
    return {f"{name}.lock": lock(name) for name in names}


def image(
    plan: Plan, service: Service, base: str, package: Mapping[str, str], files: Iterable[str]
) -> Image:
    """The image of a service; `package` and `files` are digests of what is copied into it."""
    kind = role(service)
    parts = [
        base,
        stage("builder"),
        stage("floor"),
        role_stages(kind),
        _final(plan, service),
        *files,
    ]
    if kind != "broker":
        parts.append(lock(kind))
    if kind in PARTS:
        parts += [f"{p} {package[p]}" for p in (*SHARED_PARTS, *PARTS[kind])]
    digest = hashlib.sha256("\0".join(parts).encode()).hexdigest()
    return Image(service.name, digest)


def _head(plan: Plan, base: str) -> str:
    return f"""\
# Every image of the mesh {plan.name}, rendered by seawall {__version__}.
# The base is the only image that is pulled.
FROM {base} AS base
"""


def stage(name: str, **values: str) -> str:
    """A piece of the Dockerfile, with `@name@` replaced."""
    text = (resources.files("seawall.render") / "stages" / name).read_text("utf-8")
    for key, value in {"version": __version__, **values}.items():
        text = text.replace(f"@{key}@", value)
    return text


def role_stages(name: Role) -> str:
    """The stages that make one role's image."""
    if name == "broker":
        return stage("broker")
    if name == "gateway":
        return stage("gateway", port=str(envoy.HEALTH_PORT))
    parts = (*SHARED_PARTS, *PARTS[name])
    memory = name == "memory"
    return stage(
        "python",
        role=name,
        program=PROGRAMS[name],
        health=places.HEALTH,
        copies="\n".join(f"COPY seawall/{p} /seawall/lib/seawall/{p}" for p in parts),
        packages=stage("weights") if memory else "",
        last=stage("model") if memory else "",
        env="ENV XDG_CACHE_HOME=/seawall/cache HOME=/tmp\n" if memory else "",
    )


def _final(plan: Plan, service: Service) -> str:
    """The stage of one service: its role's image, and what is its own."""
    user = f"{service.uid}:{service.uid}"
    title = f'LABEL org.opencontainers.image.title="{plan.name}/{service.name}"'
    if role(service) == "gateway":
        name = service.name
        trusted = _TRUSTED if plan.trusted_cas and service.kind == "gateway" else ""
        return f"""\
# An invalid configuration ends the build, so it never replaces a valid one.
FROM gateway AS {name}-checked
COPY workloads/{name} /etc/envoy
{trusted}RUN ["envoy", "--mode", "validate", "-c", "/etc/envoy/envoy.yaml", "--log-level", "error"]
FROM gateway AS {name}
COPY --from={name}-checked /etc/envoy /etc/envoy
{title}
USER {user}
"""
    lines = [f"FROM {role(service)} AS {service.name}"]
    if service.kind != "broker":
        lines.append(f"COPY workloads/{service.name} /seawall")
    if writes_data(service.workload):
        # A new volume takes its owner from here.
        lines.append(f"COPY --from=builder --chown={user} /empty {places.DATA}")
    return "\n".join([*lines, title, f"USER {user}", ""])


_TRUSTED = f"""\
COPY trusted /tmp/trusted
RUN for file in {envoy.CA_FILE} /tmp/trusted/*; do cat "$file" && echo; done \
    > {envoy.OWN_CA_FILE} && touch -d @0 {envoy.OWN_CA_FILE} /etc/envoy
"""


def writes_data(workload: Workload | None) -> bool:
    """Whether a workload keeps something on a volume."""
    return workload is not None and places.DATA in workload.writable
