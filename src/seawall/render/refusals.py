"""What containers cannot be made of: refused with a reason, never left out silently."""

from __future__ import annotations

from urllib.parse import urlsplit

from seawall.errors import OperatorError
from seawall.plan.links import ENGINE_HOST
from seawall.plan.model import Plan, Workload
from seawall.spec.units import is_loopback
from seawall.wire import places
from seawall.wire.profiles import AgentProfile, BridgeProfile, UrlTool

from . import services
from .dockerfile import lock

ROLES = {"bridge": "bridge", "entry": "runtime"}
"""Kind of recipe to the lock of the image that the packages go into."""


RENDERED = ("runtime", "bridge", "keeper", "broker")


def refuse(plan: Plan, *, offline: bool) -> None:
    """Refuse what this target cannot do.

    Raises:
        OperatorError: naming the first workload and all its faults.
    """
    if offline and plan.script is None:
        raise OperatorError(
            "seawall.yaml: script",
            "--offline needs a script, and the spec names none",
            "Add `script: FILE`, or drop --offline to use real models",
        )
    for workload in plan.workloads:
        recipe = workload.image
        if recipe.kind not in RENDERED:
            fault = f"`{recipe.kind}: {recipe.what}` cannot be run in a container yet"
            remedy = "Use a declarative agent, or `functions:`, `memory:` or `sandbox:`"
            raise OperatorError(workload.identity, fault, remedy)
        _refuse_ways(plan, workload)
        if isinstance(workload.profile, AgentProfile) and not offline:
            _refuse_models(workload.profile)
        found = _conflicts(workload)
        if found:
            needed = workload.image.requirements
            assert needed is not None  # noqa: S101 - it has conflicts
            raise OperatorError(
                f"{workload.identity}: {needed.path}",
                "; ".join(found),
                "Pin that version: in the image Seawall's own packages come first",
            )


def _refuse_ways(plan: Plan, workload: Workload) -> None:
    """Names that a container takes for itself or for its gateway."""
    for one in services.connected(plan, workload.identity):
        for name in (one.name, one.host):
            if name in places.DIRECT or is_loopback(name):
                fault = f"`{name}` already means something inside a container"
                raise OperatorError(f"services/{one.name}", fault, _elsewhere("host"))
    profile = workload.profile
    if isinstance(profile, BridgeProfile) and isinstance(profile.source, UrlTool):
        host = urlsplit(profile.source.url).hostname or ""
        if is_loopback(host):
            fault = f"`{host}` is the container itself, inside one"
            raise OperatorError(workload.identity, fault, _elsewhere("url"))


def _elsewhere(key: str) -> str:
    return f"Say {ENGINE_HOST} in its `{key}` for the machine that Docker runs on"


def _refuse_models(agent: AgentProfile) -> None:
    """A gateway is not the machine that `localhost` means to the author."""
    for model in (agent.model, *agent.model.fallbacks):
        host = urlsplit(model.base_url or "").hostname or ""
        if is_loopback(host):
            fault = f"{model.ref} is at {host}, which inside a container is the container itself"
            raise OperatorError(f"agent/{agent.name}", fault, _elsewhere("base_url"))


def _conflicts(workload: Workload) -> list[str]:
    """Packages that Seawall's image has in another version: ours come first on the path."""
    needed = workload.image.requirements
    if needed is None:
        return []
    ours = pins(lock(ROLES[workload.image.kind]))
    theirs = (pin.split("==") for pin in needed.pins)
    return [
        f"{name} is {ours[name]} in the image, not {version}"
        for name, version in theirs
        if ours.get(name, version) != version
    ]


def pins(text: str) -> dict[str, str]:
    """The packages of one of Seawall's locks."""
    lines = (line.split()[0] for line in text.splitlines() if "==" in line.partition(";")[0])
    return dict(line.split("==") for line in lines)
