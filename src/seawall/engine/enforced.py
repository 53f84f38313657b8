"""Which engine enforces which control, and how; a required one that is missing stops `up`.

Knows the controls' names (`plan/controls.py`) and what was looked at on an engine, no mesh.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal

from seawall.errors import OperatorError
from seawall.plan.model import Plan

from .checks import Check

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


def found(checks: Iterable[Check]) -> dict[str, By]:
    """What Compose enforces on an engine, by what was looked at there (`checks.judge`)."""
    lost = {c.control for c in checks if c.state == "fault"}
    return {name: "nobody" if name in lost else by for name, by in COMPOSE.items()}


def refuse_missing(plan: Plan, enforced: Mapping[str, By]) -> None:
    """Raises OperatorError naming every required control that this engine lacks."""
    missing = [c for c in plan.controls if c.level == "required" and not c.waived
               and enforced.get(c.name, "nobody") == "nobody"]  # fmt: skip
    if missing:
        told = "; ".join(f"{c.name} ({c.meaning})" for c in missing)
        names = ", ".join(c.name for c in missing)
        remedy = f"Mend the engine, or accept it: allow_missing_controls: [{names}]"
        raise OperatorError("docker", f"does not enforce {told}", remedy)
