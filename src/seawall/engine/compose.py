"""The engine for Docker Compose: applies exactly what was rendered, and lets Compose reconcile."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Network
from pathlib import Path

from seawall.errors import OperatorError
from seawall.plan.model import Plan
from seawall.render.compose import (
    SECRETS_VOLUME,
    ComposeOptions,
    render,
    secrets_services,
    secrets_volume,
)
from seawall.render.dockerfile import BASE
from seawall.render.files import Rendered
from seawall.render.topology import topology

from . import addresses, checks, enforced, folder, mounted, package, remote
from .difference import Change, Laid, difference
from .images import Images
from .progress import Progress, Silent
from .project import PROJECT_LABEL, STATE, Project

READY_SECONDS_MAX = 180
RECOVERY_SECONDS_MAX = 45
TAIL_LINES = 12
MOVES_MAX = 2
"""How often a mesh takes other addresses when somebody is quicker with those it chose."""
CLASH = "pool overlaps"
"""In Docker's words (moby, libnetwork/ipamapi): a network has these addresses already."""


@dataclass(frozen=True)
class UpOptions:
    """What a person chose on the command line."""

    offline: bool = False
    build: bool = True
    registry: str = ""
    networks: IPv4Network | None = None
    """The /16 for the mesh's networks; None for one that is free."""
    progress: Progress = field(default_factory=Silent)


@dataclass(frozen=True)
class ComposeEngine(Project):
    """One mesh on one Docker engine, and the spec that says what it should be."""

    plan: Plan = field(kw_only=True)
    ca_bundle: str | None = None
    script: str | None = None
    door_port: int | None = None
    door_address: str = "127.0.0.1"

    def rendered(self, options: UpOptions, *, here: bool = True) -> Rendered:
        """The project's files, with the addresses it has or may have.

        `here`: the engine sees this machine's files.
        """
        return render(self.plan, self._chosen(options, here=here), package.code())

    def services(self) -> set[str]:
        """The names of the mesh's services."""
        shape = topology(self.plan, next(iter(addresses.candidates(self.name))))
        return {service.name for service in shape.services}

    def differences(self, options: UpOptions) -> tuple[Change, ...]:
        """What `up` would change, and why. Raises OperatorError."""
        return self._differences(self.rendered(options, here=self.docker.is_here()))

    def up(self, options: UpOptions) -> tuple[Change, ...]:
        """Build what is missing, start, and return when every agent can take work.

        Returns what was changed.

        Raises:
            OperatorError: something this machine lacks, a build that failed, a service that did
                not come up. What was started stays, for `logs`; `down` removes it.
        """
        self._has_script(options)
        if not options.offline:
            self._has_networks()
        keys = {} if options.offline else mounted.resolve(self.plan, self.spec_folder)
        options.progress.step("looking at the engine")
        found = self.checks()
        checks.refuse(found, self.plan.controls)
        enforced.refuse_missing(self.plan, enforced.found(found))
        if options.networks and addresses.clashing(self.name, self.docker, options.networks):
            raise self._clash(options, options.networks)
        here = self.docker.is_here()
        for moves_left in reversed(range(MOVES_MAX + 1)):
            try:
                return self._applied(options, keys, here=here)
            except OperatorError as error:
                if CLASH not in error.fault.lower():
                    raise
                self._move(options, possible=moves_left > 0)
        raise AssertionError("the last move raises")

    def _applied(
        self, options: UpOptions, keys: Mapping[str, Mapping[str, str]], *, here: bool
    ) -> tuple[Change, ...]:
        """Lay, build and start the mesh where there is room for its networks now."""
        made = self.rendered(options, here=here)
        changes = self._differences(made)
        self._lay(made, options)
        images = self.images
        if options.build:
            images.build(options.progress)
        else:
            images.pull(options.registry, options.progress)
        if here:
            mounted.write(self.home / "secrets", keys)
        else:
            # What could not be seen before there was an image.
            keeper = images.wanted()["keeper"]
            checks.refuse(self.checks(keeper), self.plan.controls)
            self._send_secrets(options, keys, keeper)
        self._start(options.progress)
        return changes

    def _move(self, options: UpOptions, *, possible: bool) -> None:
        """Somebody took addresses of the mesh's since they were chosen: leave them.

        Gateways' images hold their addresses, so that who must not build cannot move.
        """
        within = IPv4Network(str(self.state()["within"]))
        if options.networks or not options.build or not possible:
            raise self._clash(options, within)
        others = ", ".join(addresses.clashing(self.name, self.docker, within))
        options.progress.say(f"{others} took addresses of {within}: the mesh takes others")
        for _ in self.compose("down", "--remove-orphans"):
            pass

    def _clash(self, options: UpOptions, within: IPv4Network) -> OperatorError:
        """Whose network is in the way, and the commands that go on elsewhere."""
        others = ", ".join(addresses.clashing(self.name, self.docker, within))
        free = f"--networks {addresses.free(self.name, self.docker)}"
        rest = " ".join([*self._told_again(options), free])
        up = f"seawall up {rest}"
        if not options.build:
            registry = options.registry.rstrip("/")
            push, pull = (
                (f" --push {registry}", f" --registry {registry}") if registry else ("", "")
            )
            up = f"seawall build{push} {rest}`, then `seawall up --no-build{pull} {rest}"
        fault = f"{within} has no room: {others or 'another network'} has addresses of it"
        remedy = f"`seawall down`, then `{up}`; or remove that network"
        return OperatorError("networks", fault, remedy)

    def _told_again(self, options: UpOptions) -> list[str]:
        """What of a person's options the next command must have too."""
        offline = ["--offline"] if options.offline else []
        own = f"seawall-{self.plan.name}"
        name = ["--name", self.name.removeprefix("seawall-")] if self.name != own else []
        context = ["--context", self.docker.context] if self.docker.context else []
        return [*offline, *name, *context]

    def checks(self, image: str | None = None) -> tuple[checks.Check, ...]:
        """Whether the engine is what a mesh needs. Raises OperatorError when none answers."""
        ids = self.docker.ask("network", "ls", "--quiet", *self._mine()).split()
        return checks.judge(
            checks.gather(self.docker, image=image, bridges=[f"br-{i[:12]}" for i in ids])
        )

    def prepare(self, options: UpOptions) -> dict[str, str]:
        """Lay the project for building alone; returns service to image."""
        first = next(iter(addresses.candidates(self.name)))
        chosen = UpOptions(options.offline, True, options.registry, options.networks or first)
        self._lay(self.rendered(chosen, here=self.docker.is_here()), chosen)
        return self.images.wanted()

    @property
    def images(self) -> Images:
        """The images of the mesh as it was laid."""
        return Images(self, self.plan.images.get("base", BASE))

    def lay(self, home: Path, options: UpOptions) -> None:
        """Write the project into a folder, for an engine that knows nothing of Seawall."""
        folder.lay(self.rendered(options), home, self.spec_folder)

    def replicas(self) -> dict[str, int]:
        """How many of each service seawall.yaml says; of the mesh as `up` chose it last."""
        shape = topology(self.plan, next(iter(addresses.candidates(self.name))),
                         offline=bool(self.state().get("offline")))  # fmt: skip
        agents = {s.name: s.workload.replicas for s in shape.services
                  if s.workload and s.kind != "gateway"}  # fmt: skip
        return {s.name: agents.get(s.name, 1) for s in shape.services}

    def scale(self, service: str, replicas: int) -> None:
        """Have so many replicas of one service; returns when they are ready."""
        self.required()
        wait = ("--wait", "--wait-timeout", str(READY_SECONDS_MAX))
        only = ("--no-recreate", "--no-build", "--no-deps", "--scale", f"{service}={replicas}")
        for _ in self.compose("up", "--detach", *wait, *only, service):
            pass

    def refresh_secrets(self) -> None:
        """Give the running mesh the secrets as they are now. Raises OperatorError."""
        running = self.required()
        state = self.state()
        offline = bool(state.get("offline"))
        keys = {} if offline else mounted.resolve(self.plan, self.spec_folder)
        if self.docker.is_here():
            mounted.write(self.home / "secrets", keys)
            return
        keeper = next(c.image for c in running if c.service == "keeper")
        self._send_secrets(UpOptions(offline=offline), keys, keeper)

    def _chosen(self, options: UpOptions, *, here: bool) -> ComposeOptions:
        return ComposeOptions(
            project=self.name,
            within=options.networks or self._within(),
            registry=options.registry,
            offline=options.offline,
            ca_bundle=self.ca_bundle,
            door_port=self.door_port,
            door_address=self.door_address,
            secrets_in_volumes=not here,
        )

    def _within(self) -> IPv4Network:
        last = self.state().get("within")
        return addresses.free(self.name, self.docker, IPv4Network(last) if last else None)

    def _differences(self, made: Rendered) -> tuple[Change, ...]:
        changed = folder.changed(made, self.home, self.spec_folder)
        before = Laid(folder.laid(self.home) if self.home.is_dir() else {})
        return difference(self.containers(), before, Laid(made.files, changed))

    def _has_script(self, options: UpOptions) -> None:
        if options.offline and self.script is None:
            raise OperatorError(
                "seawall.yaml: script",
                "--offline needs a script, and the spec names none",
                "Add `script: FILE`, or drop --offline to use real models",
            )

    def _has_networks(self) -> None:
        """Networks of others that the mesh's gateways join. Compose's own words name no service."""
        wanted = {s.name: s.network for s in self.plan.services if s.network}
        if not wanted:
            return
        there = set(self.docker.ask("network", "ls", "--format", "{{.Name}}").split())
        for name, network in wanted.items():
            if network not in there:
                fault = f"there is no Docker network `{network}`"
                remedy = "Start what makes it first; `docker network ls` shows those there are"
                raise OperatorError(f"services/{name}: network", fault, remedy)

    def _lay(self, made: Rendered, options: UpOptions) -> None:
        folder.lay(made, self.home, self.spec_folder)
        # What is below .seawall is this machine's own, secrets among it.
        (self.spec_folder / ".seawall" / ".gitignore").write_text("*\n", "utf-8")
        networks = Laid(made.files).networks
        subnet = IPv4Network(next(iter(networks.values()))["ipam"]["config"][0]["subnet"])
        state = {"within": str(subnet.supernet(new_prefix=16)), "offline": options.offline,
                 "registry": options.registry}  # fmt: skip
        (self.home / STATE).write_text(json.dumps(state) + "\n", "utf-8")

    def _send_secrets(
        self, options: UpOptions, keys: Mapping[str, Mapping[str, str]], image: str
    ) -> None:
        chosen = self._chosen(options, here=False)
        shape = topology(self.plan, chosen.within, offline=options.offline)
        names = secrets_services(shape, offline=options.offline)
        values = mounted.with_door(self.home / "secrets", keys)
        volumes = {name: secrets_volume(chosen, name) for name in names}
        labels = {PROJECT_LABEL: self.name, SECRETS_VOLUME: "true"}
        remote.put_secrets(self.docker, image, volumes, values, labels)

    def _start(self, progress: Progress) -> None:
        progress.step("starting")
        args = ("up", "--detach", "--remove-orphans", "--no-build", "--wait",
                "--wait-timeout", str(READY_SECONDS_MAX))  # fmt: skip
        ready, seen = 0, 0
        try:
            for line in self.compose(*args):
                seen += line.rstrip().endswith("Waiting")
                ready += line.rstrip().endswith("Healthy")
                if seen:
                    progress.step(f"starting, {ready} of {seen} ready")
        except OperatorError as error:
            if "unhealthy" in error.fault and self._recovers(progress):
                return
            more = "`seawall logs SERVICE` tells more, `seawall down` removes what was started"
            remedy = f"{error.remedy}; {more}" if error.remedy else more
            raise OperatorError("seawall up", self._why(error), remedy) from None

    def _recovers(self, progress: Progress) -> bool:
        """Compose gives up at the first container that is unhealthy. On a machine with much to do
        a check may only be late: whether all become ready soon.
        """
        until = time.monotonic() + RECOVERY_SECONDS_MAX
        while time.monotonic() < until:
            found = self.containers()
            waiting = [c for c in found if c.state != "ready"]
            if not waiting:
                return True
            if any(c.state not in ("unhealthy", "starting", "running") for c in waiting):
                return False
            progress.step(f"waiting for {', '.join(sorted({c.service for c in waiting}))}")
            time.sleep(1)
        return False

    def _why(self, error: OperatorError) -> str:
        """What is not up, with its last words."""
        told = [line for line in error.fault.splitlines() if "rror" in line][-1:]
        for found in self.containers():
            if found.state in ("ready", "created", "starting"):
                continue
            log = self.docker.ask("logs", "--tail", str(TAIL_LINES), found.id, check=False)
            last = log.strip().splitlines()[-1:] or ["(no log)"]
            told.append(f"{found.service} is {found.state}: {last[0][:300]}")
        return "\n".join(told).rstrip(".") if told else error.fault
