"""Which engine enforces which control, and how; a required one that is missing stops `up`.

Knows the controls' names (`plan/controls.py`) and what Docker says of itself, no mesh.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from seawall.errors import OperatorError
from seawall.plan.model import Plan

By = Literal["platform", "container", "nobody"]
"""platform: kernel, engine or gateway, out of the workload's reach. container: a process of ours
beside the workload, or in it; hostile code there may get round it. nobody: not enforced."""

COMPOSE: Mapping[str, By] = {
    "agent-sees-own-gateway-only": "platform",
    "reverse-path-filter": "platform",
    "identity-set-by-gateway": "platform",
    "lease-checked": "platform",
    "grants-enforced": "platform",
    "egress-by-name": "platform",
    "credentials-at-gateway": "platform",
    "budgets-reserved": "container",
    "own-uid": "platform",
    "no-capabilities": "platform",
    "read-only-root": "platform",
    "seccomp": "platform",
    "memory-limit": "platform",
    "cpu-limit": "platform",
    "pids-limit": "platform",
    "sandbox-without-network": "container",
    "sandbox-replaced": "container",
    "log-limit": "platform",
    "user-namespace": "nobody",
    "gvisor": "nobody",
    "private-registry-digests": "nobody",
}
DEV: Mapping[str, By] = {
    **dict.fromkeys(COMPOSE, "nobody"),
    "identity-set-by-gateway": "container",
    "lease-checked": "container",
    "grants-enforced": "container",
    "budgets-reserved": "container",
    "sandbox-without-network": "container",
    "sandbox-replaced": "container",
}
"""One process: what holds against a model that misbehaves does not hold against code."""


def of_docker(info: Mapping[str, Any]) -> dict[str, By]:
    """What Compose enforces on this engine, by what `docker info` says of it."""
    lacks = {
        "agent-sees-own-gateway-only": _major(info) < 28,  # isolated bridges came with it
        "seccomp": not any("name=seccomp" in o for o in info.get("SecurityOptions") or ()),
        "memory-limit": not (info.get("MemoryLimit") and info.get("SwapLimit")),
        "cpu-limit": not info.get("CPUCfsQuota", info.get("CpuCfsQuota")),
        "pids-limit": not info.get("PidsLimit"),
    }
    return {name: "nobody" if lacks.get(name) else by for name, by in COMPOSE.items()}


def refuse_missing(plan: Plan, enforced: Mapping[str, By]) -> None:
    """Raises OperatorError naming every required control that this engine lacks."""
    missing = [c for c in plan.controls if c.level == "required" and not c.waived
               and enforced.get(c.name, "nobody") == "nobody"]  # fmt: skip
    if missing:
        told = "; ".join(f"{c.name} ({c.meaning})" for c in missing)
        names = ", ".join(c.name for c in missing)
        remedy = f"Mend the engine, or accept it: allow_missing_controls: [{names}]"
        raise OperatorError("docker", f"does not enforce {told}", remedy)


def _major(info: Mapping[str, Any]) -> int:
    digits = str(info.get("ServerVersion", "")).partition(".")[0]
    return int(digits) if digits.isdigit() else 0
