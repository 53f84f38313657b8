"""The hardening measures, by name. Engines say which they enforce.

A missing required one stops an engine. A spec loosens them by explicit keys only.
"""

from __future__ import annotations

from seawall.spec.faults import Fault, nearest
from seawall.spec.model import Spec

from .model import Control, Link

REQUIRED = {
    "agent-sees-own-gateway-only": "an agent's container reaches its own gateway and nothing else",
    "reverse-path-filter": "an isolated container cannot send packets to the machine it runs on",
    "identity-set-by-gateway": "who asks is written by the gateway, over whatever the caller sent",
    "lease-checked": "nothing is accepted without a valid lease token",
    "grants-enforced": "a tool shows and runs only the functions granted to the caller",
    "egress-by-name": "only named hosts outside are reached; private addresses are refused",
    "credentials-at-gateway": "keys are added to requests by the gateway; no workload holds them",
    "budgets-reserved": "spending is reserved by the keeper before it happens",
    "own-uid": "each workload runs as a user of its own, never root",
    "no-capabilities": "all capabilities dropped, no new privileges",
    "read-only-root": "the root file system is read-only; writable paths are listed and sized",
    "seccomp": "the default seccomp profile, or a stricter one",
    "memory-limit": "memory is limited, without swap",
    "cpu-limit": "CPU is limited",
    "pids-limit": "processes and threads are limited",
    "sandbox-without-network": "a sandbox has no network at all",
    "sandbox-replaced": "a sandbox serves one session and is then replaced",
    "log-limit": "logs are limited in size",
}
PREFERRED = {
    "user-namespace": "root in a container is nobody on the host",
    "gvisor": "sandboxes run on a kernel of their own",
    "private-registry-digests": "images are pinned by digest",
}


def controls(spec: Spec, connections: tuple[Link, ...]) -> tuple[Control, ...]:
    """Every control, with what the spec loosens."""
    waived = set(spec.allow_missing_controls)
    exempt = _exempt(spec, connections)
    levels = (("required", REQUIRED), ("preferred", PREFERRED))
    return tuple(
        Control(
            name=name,
            level="required" if level == "required" else "preferred",
            meaning=meaning,
            waived=name in waived,
            exempt=exempt.get(name, ()),
        )
        for level, known in levels
        for name, meaning in known.items()
    )


def faults(spec: Spec) -> list[str]:
    """A fault for each control that the spec waives and nobody knows, or nobody requires."""
    found = []
    for index, name in enumerate(spec.allow_missing_controls):
        if name not in REQUIRED:
            path = ("allow_missing_controls", index)
            place = spec.home.place(path)
            remedy = nearest(name, REQUIRED, "controls")
            found.append(str(Fault(place, path, f"{name!r} is not a required control", remedy)))
    return found


def _exempt(spec: Spec, connections: tuple[Link, ...]) -> dict[str, tuple[str, ...]]:
    both = (*((f"agent/{n}", a) for n, a in spec.agents.items()),
            *((f"tool/{n}", t) for n, t in spec.tools.items()))  # fmt: skip
    writable = sorted(i for i, w in both if w.allow_writable_root)
    private = sorted({k.source for k in connections if "allow_private_addresses" in k.allows})
    return {"read-only-root": tuple(writable), "egress-by-name": tuple(private)}
