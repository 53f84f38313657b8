"""Two lists of system calls: our own servers' is the shorter, and a stranger gets the other."""

from __future__ import annotations

import json
from ipaddress import IPv4Network
from pathlib import Path

import pytest
import yaml

from seawall.engine import package
from seawall.plan.compile import compile_plan
from seawall.render import refusals, seccomp
from seawall.render.compose import STRANGERS_FILE, ComposeOptions, render
from seawall.render.files import Rendered
from seawall.spec import sources
from seawall.spec.load import load

SPEC = """\
seawall: 1
name: m
main: a
defaults: {{model: "anthropic:claude-sonnet-4-5"}}
agents: {{a: {{instructions: x{granted}}}}}
{tools}
"""
FORBIDDEN = {
    "bpf", "chroot", "execveat", "io_uring_setup", "kcmp", "keyctl", "memfd_create", "mount",
    "open_by_handle_at", "perf_event_open", "personality", "pidfd_getfd", "pivot_root",
    "process_vm_readv", "ptrace", "setns", "setuid", "splice", "umount2", "unshare", "userfaultfd",
}  # fmt: skip


def allowed(profile: str) -> set[str]:
    """What a profile allows, under whatever conditions."""
    rules = json.loads(profile)["syscalls"]
    return {n for rule in rules if rule["action"] == "SCMP_ACT_ALLOW" for n in rule["names"]}


def rendered(folder: Path, granted: str = "", tools: str = "") -> Rendered:
    (folder / "seawall.yaml").write_text(SPEC.format(granted=granted, tools=tools))
    spec = load(folder / "seawall.yaml")
    options = ComposeOptions(project="m", within=IPv4Network("10.99.0.0/16"))
    return render(compile_plan(spec, sources.read(spec)), options, package.code())


@pytest.mark.parametrize("profile", [seccomp.PROFILE, seccomp.STRANGERS_PROFILE])
def test_neither_list_has_what_helps_an_intruder(profile: str) -> None:
    assert not allowed(profile) & FORBIDDEN
    document = json.loads(profile)
    assert document["defaultAction"] == "SCMP_ACT_ERRNO"
    assert not any(arch["subArchitectures"] for arch in document["archMap"])
    for rule in document["syscalls"]:
        if {"clone", "socket", "ioctl"} & set(rule["names"]):
            assert rule["args"], "never without a condition"


def test_a_stranger_may_do_more_than_our_own_servers() -> None:
    assert allowed(seccomp.PROFILE) < allowed(seccomp.STRANGERS_PROFILE)


def test_a_strangers_container_is_held_to_the_strangers_list_and_its_gateway_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # No kind of image with a stranger's program is rendered yet: the rest of the way is ready.
    monkeypatch.setattr(refusals, "RENDERED", (*refusals.RENDERED, "npm"))
    tools = """\
tools:
  web: {npm: "@modelcontextprotocol/server-everything@2026.1.14",
        egress: [{host: example.com}]}"""
    made = rendered(tmp_path, ", tools: [web]", tools)
    services = yaml.safe_load(made.files["compose.yaml"])["services"]
    given = {name: s["security_opt"] for name, s in services.items()}
    assert given.pop("tool-web") == ["no-new-privileges:true", f"seccomp:./{STRANGERS_FILE}"]
    assert "gateway-tool-web" in given
    assert {str(options) for options in given.values()} == {
        "['no-new-privileges:true', 'seccomp:./seccomp.json']"
    }
    assert made.files[STRANGERS_FILE] == seccomp.STRANGERS_PROFILE


def test_a_mesh_without_strangers_has_no_list_for_them(tmp_path: Path) -> None:
    assert STRANGERS_FILE not in rendered(tmp_path).files
