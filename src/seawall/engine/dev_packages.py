"""What `dev` says about the packages that agents and tools of the author's ask for.

It uses those of the environment that it runs in and installs none: images get their own.
"""

from __future__ import annotations

from importlib import metadata

from seawall.plan.model import Plan, Requirements


def notes(plan: Plan) -> list[str]:
    """One line for each workload with requirements; none when there are none."""
    return [
        f"{workload.identity}: dev uses this environment's packages and installs none of "
        f"{workload.image.requirements.path}{_differing(workload.image.requirements)}"
        for workload in plan.workloads
        if workload.image.requirements is not None
    ]


def _differing(needed: Requirements) -> str:
    found = [_difference(*pin.split("==")) for pin in needed.pins]
    told = ", ".join(filter(None, found))
    return f"; {told}. Run: pip install -r {needed.path}" if told else "; all of them are here"


def _difference(name: str, version: str) -> str:
    try:
        here = metadata.version(name)
    except metadata.PackageNotFoundError:
        return f"{name} {version} is missing"
    return "" if here == version else f"{name} is {here} here, not {version}"
