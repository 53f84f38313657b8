"""What a Docker engine must be for a mesh to hold, and whether this one is. No spec needed."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from seawall.errors import OperatorError
from seawall.plan.model import Control

from .docker import Docker

ENGINE_MIN = (28, 0)
COMPOSE_MIN = (2, 30)
BUILDX_MIN = (0, 12)
FILTER_FILES = "/proc/sys/net/ipv4/conf"
FILTER_CONTROL = "reverse-path-filter"
SYSCTL = "sysctl -w net.ipv4.conf.all.rp_filter=2, and in /etc/sysctl.d/ so that it stays"

State = Literal["ok", "fault", "unknown", "absent"]


@dataclass(frozen=True)
class Facts:
    """What was found on the machine."""

    info: Mapping[str, Any]
    """`docker info`."""
    compose: str = ""
    """Compose's version; empty when it is not there."""
    buildx: str = ""
    filters: Mapping[str, int] | None = None
    """`rp_filter` of `all`, `default` and each bridge; None when they cannot be seen."""


@dataclass(frozen=True)
class Check:
    """One thing looked at."""

    name: str
    state: State
    """`absent`: something that a mesh is better with, and can do without."""
    found: str
    remedy: str = ""
    control: str | None = field(default=None)
    """The control that fails with it."""
    waivable: bool = True
    """The spec may waive the control; an engine that is too old it may not."""

    def is_waived(self, waived: Collection[str]) -> bool:
        """Whether the spec, which waives these controls, takes the risk."""
        return self.waivable and self.control in waived

    def stops(self, waived: Collection[str]) -> bool:
        """Whether a mesh with that spec must not start here."""
        return self.state == "fault" and not self.is_waived(waived)


def gather(docker: Docker, *, image: str | None = None, bridges: Iterable[str] = ()) -> Facts:
    """Look. `image`: one by which to look from a container when the engine is elsewhere;
    `bridges`: interfaces that a mesh has already.

    Raises:
        OperatorError: no engine answers.
    """
    return Facts(
        info=docker.info(),
        compose=docker.ask("compose", "version", "--short", check=False).strip(),
        buildx=(docker.ask("buildx", "version", check=False).split() or ["", ""])[1],
        filters=_filters_here(bridges) if docker.is_here() else _filters_there(docker, image),
    )


def _filters_here(bridges: Iterable[str]) -> dict[str, int] | None:
    files = {name: Path(FILTER_FILES) / name / "rp_filter" for name in ("all", "default", *bridges)}
    there = {name: file for name, file in files.items() if file.is_file()}
    return {name: int(file.read_text("ascii")) for name, file in there.items()} or None


def _filters_there(docker: Docker, image: str | None) -> dict[str, int] | None:
    """As a container in the engine's own network namespace sees them; it reads and nothing else."""
    if image is None:
        return None
    hardened = ("--user", "65534", "--cap-drop", "ALL", "--read-only", "--network", "host")
    script = f"cd {FILTER_FILES} && for n in all default; do echo $n $(cat $n/rp_filter); done"
    said = docker.ask("run", "--rm", *hardened, "--entrypoint", "sh", image, "-c", script,
                      check=False)  # fmt: skip
    pairs = (line.split() for line in said.splitlines())
    return {pair[0]: int(pair[1]) for pair in pairs if len(pair) == 2 and pair[1].isdigit()} or None


def judge(facts: Facts) -> tuple[Check, ...]:
    """Every check, in the order that people read them."""
    info = facts.info
    kinds = [str(option) for option in info.get("SecurityOptions") or []]
    return (
        _at_least("Docker Engine", str(info.get("ServerVersion", "")), ENGINE_MIN,
                  "older ones leak DNS from internal networks and cannot isolate the host",
                  "agent-sees-own-gateway-only"),
        _at_least("Docker Compose", facts.compose, COMPOSE_MIN, "`up` cannot wait without it"),
        _at_least("buildx", facts.buildx, BUILDX_MIN, "images are not built without it"),
        _is("Linux containers", info.get("OSType") == "linux", "Choose a Linux engine"),
        _is("seccomp", any("name=seccomp" in kind for kind in kinds),
            "Use a kernel with CONFIG_SECCOMP_FILTER, and an engine that has it on", "seccomp"),
        _is("memory limit", bool(info.get("MemoryLimit")) and bool(info.get("SwapLimit", True)),
            "Start the kernel with cgroup_enable=memory swapaccount=1", "memory-limit"),
        _is("CPU limit", bool(info.get("CpuCfsQuota")), "Use a kernel with CFS quotas",
            "cpu-limit"),
        _is("process limit", bool(info.get("PidsLimit")), "Use a kernel with the pids cgroup",
            "pids-limit"),
        _filter(facts.filters),
        _better("user namespaces", any("userns" in k or "rootless" in k for k in kinds),
                'set "userns-remap": "default" in daemon.json'),
        _better("gVisor", "runsc" in (info.get("Runtimes") or {}), "install runsc for sandboxes"),
    )  # fmt: skip


def refuse(checks: Iterable[Check], controls: Iterable[Control]) -> None:
    """Raises OperatorError naming every fault, unless the spec waives its control by name."""
    waived = {control.name for control in controls if control.waived}
    faults = [check for check in checks if check.stops(waived)]
    if not faults:
        return
    first, *others = faults
    more = "".join(f"\ndocker: {c.name}: {c.found}. {c.remedy}." for c in others)
    names = ", ".join(c.control for c in faults if c.control and c.waivable)
    waive = f"; or take the risk: `allow_missing_controls: [{names}]`" if names else ""
    raise OperatorError("docker", f"{first.name}: {first.found}", f"{first.remedy}{waive}{more}")


def _at_least(
    name: str, found: str, least: tuple[int, int], why: str, control: str | None = None
) -> Check:
    numbers = found.lstrip("v").replace("-", ".").replace("+", ".").split(".")
    known = tuple(int(n) for n in numbers[:2] if n.isdigit())
    wanted = ".".join(map(str, least))
    if len(known) < 2:
        fault, remedy = f"not there; {why}", f"Install {name} {wanted} or newer"
        return Check(name, "fault", fault, remedy, control, waivable=False)
    if known < least:
        fault, remedy = f"{found} is too old; {why}", f"Update to {wanted} or newer"
        return Check(name, "fault", fault, remedy, control, waivable=False)
    return Check(name, "ok", found, control=control, waivable=False)


def _is(name: str, there: bool, remedy: str, control: str | None = None) -> Check:
    if there:
        return Check(name, "ok", "there", control=control)
    return Check(name, "fault", "this engine has none", remedy, control)


def _better(name: str, there: bool, remedy: str) -> Check:
    if there:
        return Check(name, "ok", "there")
    return Check(name, "absent", "not there; not required", f"To have it, {remedy}")


def _filter(filters: Mapping[str, int] | None) -> Check:
    """The kernel takes the greater of `all` and the bridge's own; a new bridge has `default`
    (Documentation/networking/ip-sysctl.rst, rp_filter).
    """
    name = "reverse path filter"
    if filters is None:
        found = "cannot be seen on this engine before there is an image"
        return Check(name, "unknown", found, "Run `seawall build`, then this again", FILTER_CONTROL)
    least = filters.get("all", 0)
    bridges = {n: max(least, v) for n, v in filters.items() if n != "all"} or {"all": least}
    open_ = sorted(n for n, value in bridges.items() if value == 0)
    if not open_:
        return Check(name, "ok", f"rp_filter is {min(bridges.values())}", control=FILTER_CONTROL)
    if "default" in open_:
        which = "new bridges"
    else:
        which = ", ".join(open_[:2]) + (f" and {len(open_) - 2} more" if len(open_) > 2 else "")
    found = f"rp_filter is 0 on {which}: an isolated container can send packets to this machine"
    return Check(name, "fault", found, f"Run {SYSCTL}", FILTER_CONTROL)
