"""The system calls that the mesh's own servers may make: Python, Envoy and Redis, and no others.

An allow-list: what is not named is refused with EPERM. Written as Docker reads it
(the OCI runtime specification, `linux.seccomp`).
"""

from __future__ import annotations

import json

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
_ENOSYS = 38


def _is(index: int, value: int, mask: int | None = None) -> dict[str, object]:
    """Holds when an argument (its bits under `mask`) is `value`."""
    if mask is None:
        return {"index": index, "value": value, "op": "SCMP_CMP_EQ"}
    return {"index": index, "value": mask, "valueTwo": value, "op": "SCMP_CMP_MASKED_EQ"}


def _allowed(name: str, *arguments: dict[str, object]) -> dict[str, object]:
    return {"names": [name], "action": "SCMP_ACT_ALLOW", "args": list(arguments)}


def _profile() -> str:
    rules: list[dict[str, object]] = [
        {"names": sorted(ALLOWED), "action": "SCMP_ACT_ALLOW"},
        _allowed("clone", _is(0, 0, _NAMESPACES)),
        # Its flags are behind a pointer that seccomp cannot follow; libc falls back to clone.
        {"names": ["clone3"], "action": "SCMP_ACT_ERRNO", "errnoRet": _ENOSYS},
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


PROFILE = _profile()
