"""What a container of a mesh can do to itself, its neighbours and the machine: tried inside it."""

from __future__ import annotations

import harness
import pytest
from intruder import attack, services

KINDS = ("agent-lead", "agent-worker", "broker", "door", "gateway-agent-lead",
         "gateway-agent-worker", "keeper", "models", "tool-text")  # fmt: skip
every = pytest.mark.parametrize("service", KINDS)
REFUSED = {"EPERM", "ENOSYS", "EACCES", "killed"}
MIB = 2**20


def test_the_list_of_services_is_the_meshs(team: harness.Mesh) -> None:
    assert sorted(services(team)) == sorted(KINDS)


def test_every_service_has_a_user_of_its_own_and_none_is_root(team: harness.Mesh) -> None:
    seen = {name: attack(c, "status") for name, c in services(team).items()}
    uids = [s["uid"] for s in seen.values()]
    assert len(set(uids)) == len(uids)
    assert min(uids) >= 10_000
    assert [s["gid"] for s in seen.values()] == uids


@every
def test_no_capability_no_new_privileges_and_a_filter(team: harness.Mesh, service: str) -> None:
    seen = attack(team.container(service), "status")
    for process in (seen["own"], seen["first"]):
        for kind in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
            assert int(process[kind], 16) == 0, kind
        assert process["NoNewPrivs"] == "1"
        assert process["Seccomp"] == "2"
        assert set(process["Uid"].split()) == {str(seen["uid"])}
        assert set(process["Groups"].split()) <= {str(seen["gid"])}
    assert seen["limits"]["CORE"] == [0, 0]
    assert seen["limits"]["NOFILE"] == [4096, 4096]


@every
def test_dangerous_system_calls_are_refused(team: harness.Mesh, service: str) -> None:
    said = attack(team.container(service), "calls")
    assert len(said) > 60
    assert {name: code for name, code in said.items() if code not in REFUSED} == {}


@every
def test_no_socket_but_what_a_server_needs(team: harness.Mesh, service: str) -> None:
    said = attack(team.container(service), "sockets")
    assert {name: code for name, code in said.items() if code == "done"} == {}


@every
def test_nothing_but_temporary_files_can_be_written(team: harness.Mesh, service: str) -> None:
    # /dev/mqueue is a place for queues, and a queue takes RLIMIT_MSGQUEUE, which is zero.
    kept = {"broker": {"/data", "/data/appendonlydir"}, "keeper": {"/data"}}
    data = kept.get(service, set())
    assert set(attack(team.container(service), "writable")) == {"/tmp", "/dev/shm"} | data
    mounts = {m[1]: m[3].split(",") for m in attack(team.container(service), "status")["mounts"]}
    assert "ro" in mounts["/"]
    for place in ("/tmp", "/dev/shm"):
        assert {"noexec", "nosuid", "nodev"} <= set(mounts[place])
    for place, options in mounts.items():
        if place.startswith("/sys/fs/cgroup/") or place in ("/sys", "/proc/sys"):
            assert "ro" in options, place


@every
def test_nothing_written_can_be_run(team: harness.Mesh, service: str) -> None:
    for folder in ("/tmp", "/dev/shm"):
        said = attack(team.container(service), "run_from", folder)
        assert said.pop("file") == "EACCES"
        assert "done" not in said.values()


@pytest.mark.parametrize("folder", ["/tmp", "/dev/shm"])
def test_temporary_space_is_sized(team: harness.Mesh, folder: str) -> None:
    for service, most in (("gateway-agent-lead", 8 * MIB), ("agent-lead", 64 * MIB)):
        size, code = attack(team.container(service), "fill", folder)
        assert code == "ENOSPC"
        assert most - 2 * MIB < size <= most


@every
def test_the_first_process_keeps_its_memory_and_environment(
    team: harness.Mesh, service: str
) -> None:
    said = attack(team.container(service), "first_process")
    assert {name: code for name, code in said.items() if code not in REFUSED} == {}


@every
def test_the_image_holds_nothing_that_helps_an_intruder(team: harness.Mesh, service: str) -> None:
    seen = attack(team.container(service), "files")
    assert seen["setuid"] == []
    assert seen["programs"] == []
    assert seen["sockets"] == []
    assert not seen["pip"]
    assert not any(seen["masked"].values())


def test_one_that_takes_all_memory_is_killed_and_its_neighbours_live(team: harness.Mesh) -> None:
    def neighbours() -> dict[str, str]:
        chosen = {n: c for n, c in services(team).items() if n != "agent-worker"}
        shape = "{{.State.Status}} {{.State.StartedAt}}"
        told = harness.docker("inspect", "--format", shape, *chosen.values()).stdout.splitlines()
        return dict(zip(chosen, told, strict=True))

    before = neighbours()
    code = "kept = [bytearray(b'1' * 2**20) for _ in range(2000)]"
    done = team.exec("agent-worker", "python3", "-c", code, timeout=120)
    assert done.returncode == 137
    assert neighbours() == before
    host = team.inspect("agent-worker")["HostConfig"]
    assert host["MemorySwap"] == host["Memory"] == 512 * MIB


def test_a_fork_bomb_stays_within_its_container(team: harness.Mesh) -> None:
    count, code = attack(team.container("agent-lead"), "fork_bomb", 1000)
    assert code == "EAGAIN"
    assert 50 < count < 128
    assert attack(team.container("agent-worker"), "fork_bomb", 50) == [50, ""]


def test_busy_processes_get_their_share_of_the_machine_and_no_more(team: harness.Mesh) -> None:
    assert attack(team.container("tool-text"), "spin", 4, 3) < 1.3


def test_open_files_are_limited(team: harness.Mesh) -> None:
    assert attack(team.container("agent-lead"), "open_files") == "EMFILE"


@every
def test_what_the_engine_says_of_log_and_namespaces(team: harness.Mesh, service: str) -> None:
    host = team.inspect(service)["HostConfig"]
    assert host["LogConfig"] == {"Type": "local", "Config": {"max-size": "10m", "max-file": "3"}}
    assert host["IpcMode"] == "private"
    assert host["PidMode"] == host["UTSMode"] == ""
    assert not host["Privileged"]
    assert not host["Devices"]
    assert not host["CapAdd"]
    assert not [b for b in host["Binds"] or [] if "docker.sock" in b]
