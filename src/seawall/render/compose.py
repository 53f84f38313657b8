"""A plan as a Docker Compose project: compose.yaml and all that it names, in one folder."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv4Network
from typing import Any

from seawall.plan.links import ENGINE_HOST
from seawall.plan.model import Limits, Plan, Workload
from seawall.wire import places
from seawall.wire.profiles import BridgeProfile, MemoryTool

from . import gateway, injection, metering, readme
from .dockerfile import Code, dockerfile, image, locks, programs, writes_data
from .files import Copy, Rendered
from .hardening import hardened, limited, security_opt
from .refusals import refuse
from .seccomp import PROFILE, STRANGERS_PROFILE, is_strangers
from .topology import Attachment, Network, Service, Topology, topology
from .yaml_text import Flow, Why, dump

GATEWAY_LIMITS = Limits(memory_bytes=256 * 1024**2, pids=64, tmpfs_bytes=8 * 1024**2)
SECCOMP_FILE = "seccomp.json"
STRANGERS_FILE = "seccomp-strangers.json"
MIB = 1024**2
DEFINITION = "seawall.definition"
"""A label: the digest of all that a service is. What Compose does not look into (the seccomp
profile's content) is in it, so that Compose sees a change; and `plan` compares by it."""
SECRETS_VOLUME = "seawall.secrets"
"""A label of the volumes that hold secrets on an engine elsewhere."""


@dataclass(frozen=True)
class ComposeOptions:
    """What the plan does not say: where on this machine, and under which name."""

    project: str
    within: IPv4Network
    """The /16 that the mesh's networks are taken from."""
    registry: str = ""
    """Put before every image's name, with its slash."""
    offline: bool = False
    ca_bundle: str | None = None
    """A file of the author's with the CAs that builds trust."""
    door_port: int | None = None
    """The published port; None for a free one."""
    door_address: str = "127.0.0.1"
    secrets_in_volumes: bool = False
    """The engine does not see this machine's files: secrets reach it as volumes."""


def render(plan: Plan, options: ComposeOptions, code: Mapping[str, Code]) -> Rendered:
    """Everything that `docker compose up` needs. `code`: Seawall's own, for each program.

    Raises:
        OperatorError: the plan asks for what this target does not have.
    """
    refuse(plan, offline=options.offline)
    shape = topology(plan, options.within, offline=options.offline)
    made = Rendered()
    made.files["Dockerfile"] = dockerfile(plan, shape)
    made.files[".dockerignore"] = DOCKERIGNORE
    made.files[SECCOMP_FILE] = PROFILE
    if any(map(_strange, shape.services)):
        made.files[STRANGERS_FILE] = STRANGERS_PROFILE
    made.files["redis.conf"] = redis_conf(_limits_of(shape.service("broker")))
    made.files |= {f"locks/{name}": text for name, text in locks(plan, shape).items()}
    digests = {s.name: _workload(plan, shape, s, options, made) for s in shape.services}
    made.copies += [
        Copy("package", file, f"package/{name}/seawall/{file}")
        for name in programs(shape)
        for file in code[name].files
    ]
    made.copies += [
        Copy("spec", ca.path, f"trusted/{n}.pem") for n, ca in enumerate(plan.trusted_cas)
    ]
    images = {s.name: image(plan, s, code, digests[s.name]) for s in shape.services}
    replicas = sum(w.replicas for w in plan.workloads)
    shared = hardened(f"./{SECCOMP_FILE}", replicas + len(shape.services) - len(plan.workloads))
    networks = {n.name: _network(n) for n in shape.networks}
    others = {name: {"external": True, "name": own} for name, own in shape.joined}
    services = {s.name: _service(plan, s, options, images[s.name].digest) for s in shape.services}
    for service in services.values():
        among = {name: (networks | others)[name] for name in service["networks"]}
        calls = STRANGERS_PROFILE if "security_opt" in service else PROFILE
        service["labels"] = Flow({DEFINITION: _definition(service, shared, among, calls)})
    document = {
        "name": options.project,
        "x-hardened": Why(shared, "Every service is held to this."),
        "services": services,
        "networks": {n.name: Why(networks[n.name], n.why) for n in shape.networks}
        | {name: Why(Flow(one), _JOINED) for name, one in others.items()},
        "volumes": _named_volumes(shape, options),
        **({"secrets": {"ca": {"file": "./ca.crt"}}} if options.ca_bundle else {}),
    }
    if options.ca_bundle:
        made.copies.append(Copy("spec", options.ca_bundle, "ca.crt"))
    text = dump(document, _HEAD.format(name=plan.name))
    made.files["compose.yaml"] = text.replace("x-hardened:\n", "x-hardened: &hardened\n").replace(
        '"<<": "*hardened"', "<<: *hardened"
    )
    keys = _keys(shape, offline=options.offline)
    made.files["README.md"] = readme.readme(plan, keys)
    made.files["make-secrets"] = readme.make_secrets(keys)
    return made


DOCKERIGNORE = """\
# What images are made of; secrets beside it never reach a build.
*
!Dockerfile
!locks
!package
!redis.conf
!requirements
!trusted
!workloads
"""
_JOINED = "not the mesh's own: gateways reach existing services here"
_HEAD = """\
The mesh {name} for Docker Compose, rendered by Seawall from seawall.yaml: edit that, not this.
Needs Docker Engine 28 or newer. Secrets are files below secrets/, a folder for each gateway."""


def _workload(
    plan: Plan, shape: Topology, service: Service, options: ComposeOptions, made: Rendered
) -> list[str]:
    """Lay a service's own files below workloads/; what its image's digest must also cover."""
    folder = f"workloads/{service.name}"
    workload, files = service.workload, made.files
    if service.kind == "gateway":
        text = gateway.gateway(plan, shape, service, offline=options.offline)
        files[f"{folder}/envoy.yaml"] = text
        if not options.offline:
            for secret in gateway.credentials(service):
                files[f"{folder}/{secret}.yaml"] = injection.key_file(secret)
        made_of = [text, *(f"{ca.path} {ca.digest}" for ca in plan.trusted_cas)]
        if metering.SCRIPT_FILE in text:
            files[f"{folder}/{metering.SCRIPT_FILE}"] = meter = metering.script()
            made_of.append(meter)
        return made_of
    if service.kind == "door":
        files[f"{folder}/envoy.yaml"] = text = gateway.door(plan)
        return [text]
    if service.kind == "models":
        script = plan.script
        assert script is not None  # noqa: S101 - without one `offline` is refused before
        made.copies.append(Copy("spec", script.path, f"{folder}/files/script.yaml"))
        return [f"script {script.digest}"]
    if service.kind == "broker":
        return [files["redis.conf"]]
    assert workload is not None  # noqa: S101 - all other kinds have one
    profile = workload.profile.model_dump_json(indent=2) + "\n" if workload.profile else ""
    files[f"{folder}/profile.json"] = profile
    made.copies += _author_files(workload, folder)
    needed = workload.image.requirements
    if needed is not None and needed.text:
        files[f"requirements/{service.name}.txt"] = needed.text
    elif needed is not None:
        made.copies.append(Copy("spec", needed.path, f"requirements/{service.name}.txt"))
    packages = [f"requirements {needed.digest}"] if needed else []
    return [profile, *packages, *(f"{f.path} {f.digest}" for f in workload.files)]


def _author_files(workload: Workload, folder: str) -> list[Copy]:
    """The author's code and documents that a tool's container is given."""
    if not isinstance(workload.profile, BridgeProfile):
        return []
    source = workload.profile.source
    if isinstance(source, MemoryTool):
        given = workload.files
        return [Copy("documents", f.path, f"{folder}/files/documents", source.only) for f in given]
    return [Copy("spec", f.path, f"{folder}/files/{f.path}") for f in workload.files]


def _service(plan: Plan, service: Service, options: ComposeOptions, digest: str) -> dict[str, Any]:
    replicas = service.workload.replicas if service.workload and service.kind != "gateway" else 1
    build: dict[str, Any] = {"context": ".", "target": service.name}
    if options.ca_bundle:
        build["secrets"] = Flow(["ca"])
    mounts = _volumes(service, options)
    return {
        "<<": "*hardened",
        "image": f"{options.registry}{plan.name}/{service.name}:{digest[:16]}",
        "build": build,
        "user": f"{service.uid}:{service.uid}",
        **({"scale": replicas} if replicas != 1 else {}),
        **_calls(service),
        **_loosened(service),
        **limited(_limits_of(service)),
        **_environment(plan, service),
        **_after(service),
        "networks": {a.network: _attachment(a) for a in service.networks},
        **_hosts(plan, service),
        **({"volumes": mounts} if mounts else {}),
        **(_published(options) if service.kind == "door" else {}),
    }


def _after(service: Service) -> dict[str, Any]:
    """Who asks the keeper starts when it has a name."""
    if service.kind not in ("door", "gateway") or "keeper" not in {
        a.network for a in service.networks
    }:
        return {}
    why = "A name that is not there yet is asked of servers outside, and for seconds not again."
    return {"depends_on": Why(Flow(["keeper"]), why)}


def _hosts(plan: Plan, service: Service) -> dict[str, Any]:
    """Names that no DNS server knows."""
    known = {name: str(address) for name, address in service.hosts}
    machines = {f"service/{one.name}" for one in plan.services if one.host == ENGINE_HOST}
    machines.add(f"outside/{ENGINE_HOST}")
    if any(link.target in machines for link in service.links):
        known[ENGINE_HOST] = "host-gateway"
    return {"extra_hosts": Flow(known)} if known else {}


def _environment(plan: Plan, service: Service) -> dict[str, Any]:
    """Ordinary clients find the gateway by these."""
    # A tool's second network is the one it shares with a gateway of its own.
    behind = service.kind == "agent" or (service.kind == "tool" and len(service.networks) > 1)
    if not behind:
        return {}
    granted = {k.target for k in plan.links if k.source == _identity(service)}
    direct = [name for name, _ in service.hosts if f"outside/{name}" not in granted]
    return {"environment": places.proxy(direct)}


def _identity(service: Service) -> str:
    return service.workload.identity if service.workload else ""


def _strange(service: Service) -> bool:
    return service.kind != "gateway" and is_strangers(service.workload)


def _calls(service: Service) -> dict[str, Any]:
    """A stranger's program makes calls that no server of ours does."""
    if not _strange(service):
        return {}
    why = "A stranger's program: Docker's list of system calls, without what helps an intruder."
    return {"security_opt": Why(security_opt(f"./{STRANGERS_FILE}"), why)}


def _loosened(service: Service) -> dict[str, Any]:
    """What the spec's `allow_…` keys take back, for this workload and not for its gateway."""
    allows = service.workload.allows if service.workload and service.kind != "gateway" else ()
    if "allow_writable_root" not in allows:
        return {}
    return {"read_only": Why(False, "The spec says allow_writable_root.")}


def _limits_of(service: Service) -> Limits:
    owned = service.workload is not None and service.kind != "gateway"
    return service.workload.limits if owned and service.workload else GATEWAY_LIMITS


def _attachment(attached: Attachment) -> Any:
    given: dict[str, Any] = {}
    if attached.alias:
        given["aliases"] = [attached.alias]
    if attached.address:
        given["ipv4_address"] = str(attached.address)
    return Flow(given) if given else None


def _volumes(service: Service, options: ComposeOptions) -> list[str]:
    found = []
    if writes_data(service.workload) and service.kind != "gateway":
        found.append(f"{service.name}-data:{places.DATA}")
    if _has_secrets(service, offline=options.offline):
        volume = f"{service.name}-secrets"
        folder = f"${{SEAWALL_SECRETS:-./secrets}}/{service.name}"
        source = volume if options.secrets_in_volumes else folder
        found.append(f"{source}:{places.SECRETS}:ro")
    return found


def _has_secrets(service: Service, *, offline: bool) -> bool:
    keys = service.kind == "gateway" and gateway.credentials(service) and not offline
    return bool(keys) or service.kind == "keeper"


def _keys(shape: Topology, *, offline: bool) -> dict[str, tuple[str, ...]]:
    """Which secrets each gateway is given."""
    if offline:
        return {}
    gateways = (s for s in shape.services if s.kind == "gateway")
    return {s.name: gateway.credentials(s) for s in gateways if gateway.credentials(s)}


def _named_volumes(shape: Topology, options: ComposeOptions) -> dict[str, Any]:
    found: dict[str, Any] = {
        f"{s.name}-data": None for s in shape.services if writes_data(s.workload)
    }
    if options.secrets_in_volumes:
        # Made and filled by `seawall up` before anything starts.
        found |= {
            f"{name}-secrets": Flow({"external": True, "name": secrets_volume(options, name)})
            for name in secrets_services(shape, offline=options.offline)
        }
    return found


def secrets_services(shape: Topology, *, offline: bool) -> list[str]:
    """Which services are given secrets."""
    return [s.name for s in shape.services if _has_secrets(s, offline=offline)]


def secrets_volume(options: ComposeOptions, service: str) -> str:
    """The volume with a service's secrets, where the engine does not see this machine's files."""
    return f"{options.project}_{service}-secrets"


def _definition(
    service: Mapping[str, Any], shared: Mapping[str, Any], among: Any, calls: str
) -> str:
    """A digest of a service, its networks, and what it is held to. Not of how many there are."""
    own = {key: value for key, value in service.items() if key not in ("scale", "build")}
    text = dump({"service": own, "held to": shared, "networks": among}) + calls
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _published(options: ComposeOptions) -> dict[str, Any]:
    port = f"${{SEAWALL_DOOR_PORT:-{options.door_port or ''}}}"
    return {"ports": Why([f"{options.door_address}:{port}:{places.DOOR_PORT}"],
                         "The only published port of the mesh.")}  # fmt: skip


def _network(network: Network) -> dict[str, Any]:
    options = {"com.docker.network.bridge.enable_icc": "false"} if network.open else {
        # Without it the container reaches what listens on the host, at the bridge's own address.
        "com.docker.network.bridge.gateway_mode_ipv4": "isolated",
    }  # fmt: skip
    return {
        **({} if network.open else {"internal": True}),
        "driver_opts": options,
        "ipam": {"config": [Flow({"subnet": str(network.subnet)})]},
    }


def redis_conf(limits: Limits) -> str:
    """Redis as the keeper's: every acknowledged write is on disk, and nothing is ever evicted."""
    # The rest is for what Redis needs beside its data: buffers, and the fork that rewrites the log.
    most = limits.memory_bytes * 3 // 4 // MIB
    return f"""\
# The broker. Only the keeper reaches it: they are alone on their network.
bind 0.0.0.0
protected-mode no
dir /data
appendonly yes
# An answer is given when the write is on disk: no acknowledged step is lost.
appendfsync always
save ""
maxmemory {most}mb
# A full memory refuses writes; it drops nothing. The keeper's quotas come first.
maxmemory-policy noeviction
maxclients 1000
# Redis's own chores, once a second: nothing here waits for them.
hz 1
loglevel warning
"""
