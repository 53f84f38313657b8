"""What `up` would change, and why: what runs, against what was rendered. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import yaml

from seawall.render.compose import DEFINITION, SECCOMP_FILE

from .project import Container

Action = Literal["create", "recreate", "start", "scale", "remove"]
ALIVE = ("ready", "starting", "running", "restarting", "unhealthy")
WHYS_MAX = 4


@dataclass(frozen=True)
class Change:
    """One thing that `up` would do."""

    service: str
    action: Action
    why: str


@dataclass(frozen=True)
class Laid:
    """A rendered project's files, and which of them differ from what is laid now."""

    files: Mapping[str, str]
    changed: frozenset[str] = frozenset()

    @property
    def services(self) -> dict[str, dict[str, Any]]:
        """The services of its compose.yaml."""
        return self._part("services")

    @property
    def networks(self) -> dict[str, dict[str, Any]]:
        """The networks of its compose.yaml."""
        return self._part("networks")

    def _part(self, name: str) -> dict[str, dict[str, Any]]:
        document = yaml.safe_load(self.files.get("compose.yaml", "")) or {}
        found: dict[str, dict[str, Any]] = document.get(name, {})
        return found


def difference(running: Sequence[Container], before: Laid, after: Laid) -> tuple[Change, ...]:
    """The changes, by service. `before` is what was laid when it was started, where known."""
    there: dict[str, list[Container]] = {}
    for container in running:
        there.setdefault(container.service, []).append(container)
    old, new = before.services, after.services
    found = [
        change
        for name, service in new.items()
        if (change := _of(name, there.get(name, []), service, old.get(name), before, after))
    ]
    gone = sorted(set(there) - set(new))
    found += [Change(name, "remove", "seawall.yaml has no use for it any more") for name in gone]
    return tuple(sorted(found, key=lambda c: c.service))


def _of(
    name: str,
    containers: list[Container],
    service: dict[str, Any],
    old: dict[str, Any] | None,
    before: Laid,
    after: Laid,
) -> Change | None:
    wanted = int(service.get("scale", 1))
    if not containers:
        return None if not wanted else Change(name, "create", "it does not run")
    definition = service["labels"][DEFINITION]
    if any(c.definition != definition for c in containers):
        return Change(name, "recreate", "; ".join(_whys(name, service, old, before, after)))
    if stopped := [c for c in containers if c.state not in ALIVE]:
        return Change(name, "start", f"{len(stopped)} of {len(containers)} {stopped[0].state}")
    if len(containers) != wanted:
        why = f"{len(containers)} replicas run, seawall.yaml says {wanted}"
        return Change(name, "scale", why)
    return None


def _whys(
    name: str, service: dict[str, Any], old: dict[str, Any] | None, before: Laid, after: Laid
) -> list[str]:
    if old is None:
        return ["it is another than the one that runs"]
    own = f"workloads/{name}/"
    found = []
    for path in sorted(p for p in after.changed if p.startswith(own)):
        short = path.removeprefix(own)
        keys = _keys(before.files.get(path, ""), after.files.get(path, ""))
        word = {"profile.json": "profile", "envoy.yaml": "its gateway's rules"}.get(short)
        what = word or short.removeprefix("files/")
        found.append(f"{what} changed" + (f": {', '.join(keys)}" if keys else ""))
    found += [
        f"{key}: {_short(old.get(key))} → {_short(service.get(key))}"
        for key in sorted({*old, *service} - {"image", "labels", "scale", "build"})
        if old.get(key) != service.get(key)
    ]
    if SECCOMP_FILE in after.changed:
        found.append("the seccomp profile changed")
    if not found and old.get("image") != service.get("image"):
        found.append(_shared(old, service, after))
    more = len(found) - WHYS_MAX
    return [*found[:WHYS_MAX], *([f"and {more} more"] if more > 0 else [])] or [
        "its definition changed"
    ]


def _shared(old: dict[str, Any], service: dict[str, Any], after: Laid) -> str:
    """What several images have in common changed."""
    if old["image"].rpartition(":")[2] == service["image"].rpartition(":")[2]:
        return f"image: {old['image']} → {service['image']}"
    if any(path.startswith("seawall/") for path in after.changed):
        return "Seawall's own code changed"
    if any(path.startswith("locks/") for path in after.changed):
        return "locked packages changed"
    return "its image is built in another way, or on another base"


def _keys(before: str, after: str) -> list[str]:
    """Which keys at the top of two JSON objects differ; none for other files."""
    try:
        old, new = json.loads(before), json.loads(after)
    except ValueError:
        return []
    return sorted(k for k in {*old, *new} if old.get(k) != new.get(k))


def _short(value: Any) -> str:
    text = "none" if value is None else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 40 else f"{text[:39]}…"
