"""Which engines a mesh refuses, and with which words."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from seawall.engine.checks import Check, Facts, judge, refuse
from seawall.errors import OperatorError
from seawall.plan.model import Control

INFO: dict[str, Any] = {
    "ServerVersion": "28.5.2+dfsg4", "OSType": "linux", "MemoryLimit": True, "SwapLimit": True,
    "CpuCfsQuota": True, "PidsLimit": True, "SecurityOptions": ["name=seccomp,profile=builtin"],
    "Runtimes": {"runc": {}},
}  # fmt: skip
GOOD = Facts(INFO, "2.40.3-3", "v0.29.1+ds1", {"all": 2, "default": 0})


def faults(facts: Facts) -> list[str]:
    return [check.name for check in judge(facts) if check.state == "fault"]


def test_a_good_engine_has_no_fault() -> None:
    assert faults(GOOD) == []
    refuse(judge(GOOD), ())


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({"ServerVersion": "27.5.1"}, "Docker Engine"),
        ({"ServerVersion": "20.10.24+dfsg1"}, "Docker Engine"),
        ({"OSType": "windows"}, "Linux containers"),
        ({"SecurityOptions": []}, "seccomp"),
        ({"MemoryLimit": False}, "memory limit"),
        ({"SwapLimit": False}, "memory limit"),
        ({"CpuCfsQuota": False}, "CPU limit"),
        ({"PidsLimit": False}, "process limit"),
    ],
)
def test_what_an_engine_lacks_is_named(change: dict[str, Any], name: str) -> None:
    assert faults(replace(GOOD, info={**INFO, **change})) == [name]


@pytest.mark.parametrize(
    ("filters", "state"),
    [
        ({"all": 1, "default": 0}, "ok"),
        ({"all": 0, "default": 2}, "ok"),
        ({"all": 0, "default": 0}, "fault"),
        ({"all": 0, "default": 1, "br-1": 0}, "fault"),
        ({"all": 2, "default": 1, "br-1": 0}, "ok"),
        (None, "unknown"),
    ],
)
def test_the_filter_is_the_greater_of_all_and_the_bridges_own(
    filters: dict[str, int] | None, state: str
) -> None:
    found = next(c for c in judge(replace(GOOD, filters=filters)) if "filter" in c.name)
    assert found.state == state


def test_a_missing_compose_or_buildx_is_a_fault() -> None:
    assert faults(replace(GOOD, compose="", buildx="")) == ["Docker Compose", "buildx"]
    assert faults(replace(GOOD, compose="v2.20.1")) == ["Docker Compose"]


def test_every_fault_is_told_at_once_and_only_a_control_can_be_waived() -> None:
    bad = judge(replace(GOOD, filters={"all": 0, "default": 0}, compose=""))
    with pytest.raises(OperatorError) as told:
        refuse(bad, ())
    text = str(told.value)
    assert "Docker Compose" in text
    assert "sysctl -w net.ipv4.conf.all.rp_filter=2" in text
    assert "allow_missing_controls: [reverse-path-filter]" in text
    waived = Control(name="reverse-path-filter", level="required", meaning="", waived=True)
    with pytest.raises(OperatorError, match="Docker Compose") as less:
        refuse(bad, (waived,))
    assert "rp_filter" not in str(less.value)
    refuse([Check("gVisor", "absent", "not there")], ())
