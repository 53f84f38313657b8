"""One Dockerfile with a stage for every image of the mesh; all of them stand on the base.

Only the base is pulled. Servers come from Debian (Redis) and PyPI (Envoy), packages by hash. The
plan's `images` name others to build on (docs/explanation/images.md).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib import resources
from typing import Literal

from seawall import __version__
from seawall.plan.model import Plan, Requirements, Workload
from seawall.wire import places
from seawall.wire.profiles import BridgeProfile, FunctionsTool, MemoryTool

from . import envoy
from .topology import Service, Topology

BASE = "python:3.13-slim@sha256:7c61056e61ac89e852de05f3dc6fa51a6dd2181797bceed46aa725dd7cb2cd3b"
"""The one image that is pulled, unless `images.base` names another."""

Role = Literal["keeper", "runtime", "bridge", "memory", "models", "gateway", "broker"]

PROGRAMS: Mapping[str, str] = {
    "keeper": "seawall.containers.keeper",
    "runtime": "seawall.containers.agent",
    "bridge": "seawall.containers.bridge",
    "memory": "seawall.containers.bridge",
    "models": "seawall.containers.models",
    "model": "seawall.memory.embed",
}
"""Role to its program; an image holds of Seawall's code what its program imports. `model` makes
memory's embedding model during the build."""
ALWAYS_PYTHON = ("keeper", "runtime", "bridge", "memory", "models")


@dataclass(frozen=True)
class Code:
    """Of Seawall's own code, what one program needs: files in the package, and their digest."""

    files: tuple[str, ...]
    digest: str


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


def dockerfile(plan: Plan, topology: Topology) -> str:
    """The whole file."""
    roles = sorted({role(service) for service in topology.services})
    stages = [_head(plan), _ground(plan, "")]
    stages += [role_stages(plan, name) for name in roles]
    stages += [_final(plan, service) for service in topology.services]
    return "\n".join(stages)


def lock(name: str) -> str:
    """A lock that ships with Seawall."""
    file = resources.files("seawall.render") / "locks" / f"{name}.lock"
    return file.read_text("utf-8")


def locks(plan: Plan, topology: Topology) -> dict[str, str]:
    """The locks that the Dockerfile reads, by file name."""
    roles = {role(service) for service in topology.services}
    return {f"{name}.lock": lock(name) for kind in roles for name in _locks(plan, kind)}


def programs(topology: Topology) -> list[str]:
    """Whose code the Dockerfile copies: keys of `PROGRAMS`."""
    roles = {role(service) for service in topology.services}
    return sorted(name for kind in roles for name in _programs(kind))


def image(plan: Plan, service: Service, code: Mapping[str, Code], files: Iterable[str]) -> Image:
    """The image of a service; `files` are digests of the author's and rendered files in it."""
    kind = role(service)
    parts = [_ground(plan, ""), role_stages(plan, kind), _final(plan, service), *files]
    parts += [lock(name) for name in _locks(plan, kind)]
    parts += [f"{name} {code[name].digest}" for name in _programs(kind)]
    digest = hashlib.sha256("\0".join(parts).encode()).hexdigest()
    return Image(service.name, digest)


def _locks(plan: Plan, kind: Role) -> tuple[str, ...]:
    if kind == "broker" or (kind == "gateway" and kind in plan.images):
        return ()
    return (kind, "weights") if kind == "memory" else (kind,)


def _programs(kind: Role) -> tuple[str, ...]:
    if kind not in PROGRAMS:
        return ()
    return (kind, "model") if kind == "memory" else (kind,)


def _head(plan: Plan) -> str:
    return f"""\
# Every image of the mesh {plan.name}, rendered by seawall {__version__}.
# Nothing is pulled but what stands behind FROM here.
"""


def stage(piece: str, /, **values: str) -> str:
    """A piece of the Dockerfile, with `@name@` replaced."""
    text = (resources.files("seawall.render") / "stages" / piece).read_text("utf-8")
    for key, value in values.items():
        text = text.replace(f"@{key}@", value)
    return text


def _ground(plan: Plan, on: str) -> str:
    """What images stand on: the base, or with `on` a role's own image, and how it is built."""
    name = plan.images.get(on.removesuffix(".") or "base", BASE)
    head = f"FROM {name} AS {on}base\n"
    labels = _labels(name)
    return head + stage("builder", on=on) + stage("floor", on=on, labels=labels)


def _labels(base: str) -> str:
    """What the OCI's annotations call these (opencontainers/image-spec, annotations.md)."""
    prefix = "org.opencontainers.image"
    found = {"vendor": "Seawall", "version": __version__, "base.name": base.partition("@")[0]}
    if "@" in base:
        found["base.digest"] = base.partition("@")[2]
    return "LABEL " + " \\\n    ".join(f'{prefix}.{key}="{value}"' for key, value in found.items())


def _on(plan: Plan, kind: Role) -> str:
    """The prefix of the stages that a role's image stands on."""
    return f"{kind}." if kind in plan.images and kind in ALWAYS_PYTHON else ""


def role_stages(plan: Plan, name: Role) -> str:
    """The stages that make one role's image."""
    given = plan.images.get(name)
    source = f"{name}-image" if given else name
    if name == "broker":
        first = f"FROM {given} AS broker.base\n" if given else ""
        labels = _labels(given or plan.images.get("base", BASE))
        return first + stage(source) + stage("broker-end", labels=labels)
    if name == "gateway":
        first = f"FROM {given} AS gateway.base\n" if given else ""
        return first + stage(source) + stage("gateway-end", port=str(envoy.HEALTH_PORT))
    on = _on(plan, name)
    text = stage(
        "python",
        on=on,
        role=name,
        program=PROGRAMS[name],
        health=places.HEALTH,
        more=_MEMORY if name == "memory" else "",
    )
    if name == "memory":
        text = stage("model", on=on, program=PROGRAMS["model"], model=places.MODEL) + text
    return (_ground(plan, on) if on else "") + text


_MEMORY = """\
COPY --from=model /seawall /seawall
# Chroma and ONNX Runtime tell their makers nothing.
ENV HOME=/tmp ORT_DISABLE_TELEMETRY=1 ANONYMIZED_TELEMETRY=False
"""


def _final(plan: Plan, service: Service) -> str:
    """The stage of one service: its role's image, and what is its own."""
    name, kind = service.name, role(service)
    user = f"USER {service.uid}:{service.uid}"
    title = f'LABEL org.opencontainers.image.title="{plan.name}/{name}"'
    if kind == "gateway":
        trusted = _TRUSTED if plan.trusted_cas and service.kind == "gateway" else ""
        return stage("gateway-own", name=name, title=title, user=user, trusted=trusted)
    if kind == "broker":
        lines = [f"FROM image.broker AS {name}"]
    else:
        lines = [*_own_files(plan, service), *_own_packages(plan, service)]
        lines += [f"FROM image.{kind} AS {name}"]
        if _requirements(service):
            lines.append(f"COPY --from={name}.packages /seawall /seawall")
        lines.append(f"COPY --from={name}.files /out /seawall")
    if writes_data(service.workload):
        # A new volume takes its owner from this folder. Copied with its parent: a folder that COPY
        # makes itself has the time of the build, and then no two layers are the same.
        owner = user.removeprefix("USER ")
        lines.append(f"COPY --from=builder --chown={owner} /empty /")
    return "\n".join([*lines, title, user, ""])


def _own_files(plan: Plan, service: Service) -> list[str]:
    profile = service.workload.profile if service.workload else None
    functions = isinstance(profile, BridgeProfile) and isinstance(profile.source, FunctionsTool)
    compiled = _COMPILE if functions else ""
    on = _on(plan, role(service))
    return stage("files", on=on, name=service.name, compile=compiled).splitlines()


_COMPILE = """ \\
    && { python3 -m compileall -q --invalidation-mode unchecked-hash -s /out -p /seawall /out \\
        || :; }"""
"""A file that is not Python of this version is the author's matter: its import fails, not this."""


def _own_packages(plan: Plan, service: Service) -> list[str]:
    needed = _requirements(service)
    if needed is None:
        return []
    hashes = "--require-hashes " if needed.hashed else ""
    on = _on(plan, role(service))
    return stage("requirements", on=on, name=service.name, hashes=hashes).splitlines()


def _requirements(service: Service) -> Requirements | None:
    return service.workload.image.requirements if service.workload else None


_TRUSTED = f"""\
COPY trusted /tmp/trusted
RUN for file in {envoy.CA_FILE} /tmp/trusted/*; do cat "$file" && echo; done \
    > {envoy.OWN_CA_FILE} && touch -d @0 {envoy.OWN_CA_FILE} /etc/envoy
"""


def writes_data(workload: Workload | None) -> bool:
    """Whether a workload keeps something on a volume."""
    return workload is not None and places.DATA in workload.writable
