"""What every container of a mesh is held to under Docker, each line with its reason."""

from __future__ import annotations

from typing import Any

from seawall.plan.model import Limits

from .yaml_text import Flow, Why

LOG_SIZE = "10m"
LOG_FILES = "3"
OPEN_FILES = 4096


CHECKS_PER_SECOND_MAX = 12
"""A check is a process in a container: more at once, and they slow what they wait for."""
PACES_SECONDS = (1, 2, 5, 10, 30)


def security_opt(seccomp: str) -> Flow:
    """No new privileges, and a file of system calls."""
    return Flow(["no-new-privileges:true", f"seccomp:{seccomp}"])


def hardened(seccomp: str, containers: int) -> dict[str, Any]:
    """The block that all services share; `containers`: how many there are in the mesh."""
    wanted = containers / CHECKS_PER_SECOND_MAX
    pace = next((s for s in PACES_SECONDS if s >= wanted), PACES_SECONDS[-1])
    return {
        "cap_drop": Why(Flow(["ALL"]), "No capability: nothing here binds low ports or mounts."),
        "security_opt": Why(
            security_opt(seccomp),
            "A setuid file gives nothing, and system calls that no server needs are refused.",
        ),
        "read_only": Why(
            True, "What an attacker writes is not written, or gone at the next start."
        ),
        "ipc": Why("private", "Shared memory is the container's own."),
        "ulimits": Why(
            {
                "core": Flow({"soft": 0, "hard": 0}),
                "nofile": Flow({"soft": OPEN_FILES, "hard": OPEN_FILES}),
                "msgqueue": Flow({"soft": 0, "hard": 0}),
            },
            "No core file, which could hold a secret; no flood of open files; no message queues.",
        ),
        "sysctls": Why(
            {
                "net.ipv4.ip_forward": 0,
                "net.ipv4.conf.all.arp_ignore": 1,
                "net.ipv4.ping_group_range": "1 0",
            },
            "Containers take these from the host, and a host with Docker forwards. A gateway on\n"
            "several networks routes nothing between them, and shows each only its address there.",
        ),
        "logging": Why(
            {"driver": "local", "options": Flow({"max-size": LOG_SIZE, "max-file": LOG_FILES})},
            "A flood of log lines does not fill the disk.",
        ),
        "healthcheck": Why(
            Flow({"start_period": "2m", "start_interval": f"{pace}s"}),
            "How often a starting container is asked whether it is ready; the images say how.",
        ),
        "restart": Why("unless-stopped", "Back after a crash and after a reboot of the machine."),
        "stop_grace_period": "10s",
    }


def limited(limits: Limits) -> dict[str, Any]:
    """One service's share of the machine. Swap is off: it would only hide a full memory."""
    return {
        "mem_limit": limits.memory_bytes,
        "memswap_limit": limits.memory_bytes,
        "cpus": limits.cpus,
        "pids_limit": limits.pids,
        "shm_size": limits.tmpfs_bytes,
        "tmpfs": [
            f"/tmp:size={limits.tmpfs_bytes},mode=1777,noexec,nosuid,nodev",  # noqa: S108 - the container's
        ],
    }
