"""The system calls that containers may make: those of the mesh's own servers, and of strangers'.

Two allow-lists: Python, Envoy and Redis need few calls; what strangers wrote, in any language, gets
Docker's default without what helps an intruder. What is not named is refused with EPERM. Written as
Docker reads it (the OCI runtime specification, `linux.seccomp`).
"""

from __future__ import annotations

import json
from collections.abc import Iterable

from seawall.plan.model import Workload

ALLOWED = """
accept accept4 access arch_prctl bind brk chdir chmod clock_getres clock_gettime clock_nanosleep
close close_range connect copy_file_range dup dup2 dup3 epoll_create epoll_create1 epoll_ctl
epoll_pwait epoll_pwait2 epoll_wait eventfd eventfd2 execve exit exit_group faccessat faccessat2
fadvise64 fallocate fchdir fchmod fchmodat fcntl fdatasync flock fork fstat fstatfs fsync ftruncate
futex futex_waitv get_robust_list getcwd getdents getdents64 getegid geteuid getgid getgroups
getitimer getpeername getpgid getpgrp getpid getppid getpriority getrandom getresgid getresuid
getrlimit getrusage getsid getsockname getsockopt gettid gettimeofday getuid inotify_add_watch
inotify_init inotify_init1 inotify_rm_watch kill link linkat listen lseek lstat madvise membarrier
mincore mkdir mkdirat mlock mmap mprotect mremap msync munlock munmap nanosleep newfstatat open
openat pause pidfd_open pidfd_send_signal pipe pipe2 poll ppoll prctl pread64 preadv preadv2
prlimit64 pselect6 pwrite64 pwritev pwritev2 read readahead readlink readlinkat readv recvfrom
recvmmsg recvmsg rename renameat renameat2 restart_syscall rmdir rseq rt_sigaction rt_sigpending
rt_sigprocmask rt_sigreturn rt_sigsuspend rt_sigtimedwait sched_get_priority_max
sched_get_priority_min sched_getaffinity sched_getparam sched_getscheduler sched_yield select
sendfile sendmmsg sendmsg sendto set_robust_list set_tid_address setitimer setpgid setpriority
setrlimit setsid setsockopt shutdown sigaltstack socketpair stat statfs statx symlink symlinkat
sync_file_range sysinfo tgkill time timerfd_create timerfd_gettime timerfd_settime times tkill
truncate umask uname unlink unlinkat utimensat vfork wait4 waitid write writev
""".split()  # noqa: SIM905 - as a literal it would fill three pages

# Not there on purpose: memfd_create and execveat, which run a program that no file system holds
# and so pass by `noexec`; splice and vmsplice (CVE-2022-0847); everything that changes a user.

STRANGERS_TOO = """
alarm cachestat capget chown creat fchmodat2 fchown fchownat fgetxattr flistxattr fremovexattr
fsetxattr futex_requeue futex_wait futex_wake futimesat getcpu getxattr getxattrat ioprio_get
landlock_add_rule landlock_create_ruleset landlock_restrict_self lchown lgetxattr listxattr
listxattrat llistxattr lremovexattr lsetxattr map_shadow_stack mknod mknodat mlock2 mlockall mseal
munlockall openat2 pkey_alloc pkey_free pkey_mprotect removexattr removexattrat rt_sigqueueinfo
rt_tgsigqueueinfo sched_getattr sched_rr_get_interval sched_setaffinity seccomp semctl semget semop
semtimedop setxattr setxattrat shmat shmctl shmdt shmget signalfd signalfd4 sync syncfs
timer_create timer_delete timer_getoverrun timer_gettime timer_settime utime utimes
""".split()  # noqa: SIM905 - as a literal it would fill a page
"""With the above this is what Docker allows a container without capabilities (moby/profiles,
seccomp/default.json, of 2026), but for, on purpose: another process's memory (ptrace,
process_vm_*), programs in memory (memfd_*, execveat), splice and its like, changes of user, the
kernel's asynchronous reads and message queues, clocks, scheduling classes, lists of mounts."""
STRANGERS = ("npm", "pypi", "image", "build")
"""Kinds of recipe (`plan/model.py`) with a program that neither we nor a Python of ours runs."""

_UNIX, _INET, _INET6, _NETLINK = 1, 2, 10, 16
_TCP, _UDP, _ROUTE = 6, 17, 0
_SOCKETS = (
    (_UNIX, None),
    *((family, protocol) for family in (_INET, _INET6) for protocol in (0, _TCP, _UDP)),
    (_NETLINK, _ROUTE),  # a resolver's question which addresses there are
)
"""Address family and protocol. No AF_VSOCK, AF_ALG, AF_PACKET, no ping, no MPTCP, no other netlink:
each is a way round the network or much of the kernel for what no server needs."""
_TERMINAL, _INTERFACES = 0x5400, 0x8900
_IOCTLS = (
    (_TERMINAL, 0xFFFFFFFFFFFFFFF0),
    (_INTERFACES, 0xFFFFFFFFFFFFFF00),
    *((one, None) for one in (0x5410, 0x5413, 0x5414, 0x541B, 0x5421, 0x5429, 0x5450, 0x5451)),
)
"""Requests of ioctl(2), some as value and mask: a shell's terminal, the blocking and closing of
descriptors, an interface's address. Not TIOCSTI (0x5412), which types into another's terminal."""
_NAMESPACES = 0x7E020000
"""CLONE_NEW* flags of clone(2): a new namespace is a way to capabilities in it."""
_ENOSYS, _EINVAL = 38, 22


def _is(index: int, value: int, mask: int | None = None) -> dict[str, object]:
    """Holds when an argument (its bits under `mask`) is `value`."""
    if mask is None:
        return {"index": index, "value": value, "op": "SCMP_CMP_EQ"}
    return {"index": index, "value": mask, "valueTwo": value, "op": "SCMP_CMP_MASKED_EQ"}


def _allowed(name: str, *arguments: dict[str, object]) -> dict[str, object]:
    return {"names": [name], "action": "SCMP_ACT_ALLOW", "args": list(arguments)}


def _profile(allowed: Iterable[str], refused: Iterable[dict[str, object]] = ()) -> str:
    rules: list[dict[str, object]] = [
        {"names": sorted(allowed), "action": "SCMP_ACT_ALLOW"},
        _allowed("clone", _is(0, 0, _NAMESPACES)),
        # Its flags are behind a pointer that seccomp cannot follow; libc falls back to clone.
        {"names": ["clone3"], "action": "SCMP_ACT_ERRNO", "errnoRet": _ENOSYS},
        *refused,
    ]  # fmt: skip
    rules += [_allowed("socket", _is(0, f), *([] if p is None else [_is(2, p)]))
              for f, p in _SOCKETS]  # fmt: skip
    rules += [_allowed("ioctl", _is(1, value, mask)) for value, mask in _IOCTLS]
    # No sub-architectures: the 32-bit entries are another list of system calls.
    document = {
        "defaultAction": "SCMP_ACT_ERRNO",
        "defaultErrnoRet": 1,
        "archMap": [
            {"architecture": "SCMP_ARCH_X86_64", "subArchitectures": []},
            {"architecture": "SCMP_ARCH_AARCH64", "subArchitectures": []},
        ],
        "syscalls": rules,
    }
    return json.dumps(document, indent=2) + "\n"


PROFILE = _profile(ALLOWED)
# Go copies from one connection to another by splice, and by read and write where that says EINVAL;
# of EPERM it makes an error (internal/poll/splice_linux.go).
STRANGERS_PROFILE = _profile(
    [*ALLOWED, *STRANGERS_TOO],
    [{"names": ["splice"], "action": "SCMP_ACT_ERRNO", "errnoRet": _EINVAL}],
)


def is_strangers(workload: Workload | None) -> bool:
    """Whether a workload's container runs a stranger's program."""
    return workload is not None and workload.image.kind in STRANGERS
