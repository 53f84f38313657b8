"""`dev` says which of the author's packages this environment lacks."""

from importlib import metadata

from seawall.engine.dev_packages import notes
from seawall.plan.model import Plan, Recipe, Requirements, Workload


def plan_with(*pins: str) -> Plan:
    needed = Requirements(path="r.txt", digest="", pins=pins)
    tool = Workload(identity="tool/x", kind="tool", uid=1, image=Recipe(kind="bridge"))
    other = tool.model_copy(
        update={"image": Recipe(kind="bridge", requirements=needed), "identity": "tool/y"}
    )
    return Plan(name="m", main="a", workloads=(tool, other), links=())


def test_packages_that_are_missing_or_of_another_version_are_named() -> None:
    here = metadata.version("pydantic")
    (note,) = notes(plan_with("no-such-package==1.0", "pydantic==0.1", f"pyyaml=={here}x"))
    assert "tool/y: dev uses this environment's packages and installs none of r.txt" in note
    assert "no-such-package 1.0 is missing" in note
    assert f"pydantic is {here} here, not 0.1" in note
    assert note.endswith("Run: pip install -r r.txt")


def test_packages_that_are_here_are_said_to_be() -> None:
    (note,) = notes(plan_with(f"pydantic=={metadata.version('pydantic')}"))
    assert note.endswith("all of them are here")
