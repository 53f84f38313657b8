"""The images of a laid mesh: built where they are missing, or sent to and from a registry."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from seawall.errors import OperatorError

from . import building, folder
from .difference import Laid
from .progress import Progress
from .project import Project

_SAME = "both sides need the same seawall.yaml, Seawall and --networks"


@dataclass(frozen=True)
class Images:
    """An image's name says what is in it: what is there under its name is never made again."""

    project: Project
    base: str
    """What images are built on."""

    def wanted(self) -> dict[str, str]:
        """Service to image."""
        services = Laid(folder.laid(self.project.home)).services
        return {name: str(service["image"]) for name, service in services.items()}

    def build(self, progress: Progress) -> None:
        """Build those that this engine does not have. Raises OperatorError."""
        wanted = self.wanted()
        missing = self._missing(wanted)
        if not missing:
            return
        progress.say(f"building {len(missing)} of {len(wanted)} images")
        building.follow(self.project.compose("build", *missing), missing, self.base, progress)

    def push(self, progress: Progress) -> None:
        """Send every one to the registry that its name says. Raises OperatorError."""
        wanted = sorted(set(self.wanted().values()))
        for count, image in enumerate(wanted, 1):
            progress.step(f"pushing {count} of {len(wanted)}: {image}")
            for _ in self.project.docker.lines("push", "--quiet", image):
                pass

    def pull(self, registry: str, progress: Progress) -> None:
        """Fetch those that this engine does not have. Raises OperatorError."""
        missing = sorted(set(self._missing(self.wanted()).values()))
        if missing and not registry:
            names = "".join(f"\n  {image}" for image in missing)
            remedy = "Drop --no-build, or name where they are with --registry"
            raise OperatorError("images", f"{len(missing)} are not on this engine:{names}", remedy)
        for count, image in enumerate(missing, 1):
            progress.step(f"pulling {count} of {len(missing)}: {image}")
            try:
                for _ in self.project.docker.lines("pull", "--quiet", image):
                    pass
            except OperatorError as error:
                first = error.remedy or "Push it first: `seawall build --push REGISTRY`"
                remedy = f"{first}. The name says what is in it: {_SAME}"
                raise OperatorError(f"image {image}", error.fault, remedy) from None

    def _missing(self, wanted: Mapping[str, str]) -> dict[str, str]:
        names = self.project.docker.ask("image", "ls", "--format", "{{.Repository}}:{{.Tag}}")
        have = set(names.split())
        return {service: image for service, image in wanted.items() if image not in have}
