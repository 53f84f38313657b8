"""Engines say which controls they enforce; a missing required one stops `up`."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from seawall.engine import checks, enforced
from seawall.errors import OperatorError
from seawall.plan.controls import PREFERRED, REQUIRED
from seawall.plan.model import Control, Plan

PAGE = Path(__file__).parents[3] / "docs" / "reference" / "controls.md"
GOOD = {
    "ServerVersion": "28.5.2", "OSType": "linux",
    "SecurityOptions": ["name=seccomp,profile=builtin"],
    "MemoryLimit": True, "SwapLimit": True, "CpuCfsQuota": True, "PidsLimit": True,
}  # fmt: skip


def looked_at(info: dict[str, object]) -> tuple[checks.Check, ...]:
    return checks.judge(checks.Facts(info, "2.40.3", "v0.29.1", {"all": 2, "default": 2}))


def plan(*waived: str) -> Plan:
    controls = tuple(
        Control(name=n, level="required", meaning=m, waived=n in waived)
        for n, m in REQUIRED.items()
    )
    return Plan(name="m", main="a", workloads=(), links=(), controls=controls)


def test_every_engine_answers_for_every_control_and_the_page_says_the_same() -> None:
    rows = re.findall(r"^\| ([a-z-]+) \| (\w+) \| (\w+) \| (\w+) \|$", PAGE.read_text(), re.M)
    told = {name: (level, compose, dev) for name, level, compose, dev in rows if name != "control"}
    assert told == {
        name: (
            "required" if name in REQUIRED else "preferred",
            enforced.COMPOSE[name],
            enforced.DEV[name],
        )
        for name in (*REQUIRED, *PREFERRED)
    }


def test_an_engine_that_enforces_all_is_accepted() -> None:
    enforced.refuse_missing(plan(), enforced.found(looked_at(GOOD)))


@pytest.mark.parametrize(
    ("lacks", "control"),
    [
        ({"ServerVersion": "27.5.1"}, "agent-sees-own-gateway-only"),
        ({"MemoryLimit": False}, "memory-limit"),
        ({"SecurityOptions": ["name=apparmor"]}, "seccomp"),
        ({"SwapLimit": False}, "memory-limit"),
        ({"CpuCfsQuota": False}, "cpu-limit"),
        ({"PidsLimit": False}, "pids-limit"),
    ],
)
def test_a_missing_required_control_is_refused_unless_the_spec_allows_it(
    lacks: dict[str, object], control: str
) -> None:
    seen = enforced.found(looked_at({**GOOD, **lacks}))
    with pytest.raises(OperatorError, match=rf"does not enforce {control} .*\[{control}\]"):
        enforced.refuse_missing(plan(), seen)
    enforced.refuse_missing(plan(control), seen)
