"""The system calls that the mesh's own servers may make: Python, Envoy and Redis, and no others.

An allow-list: what is not named is refused with EPERM. Written as Docker reads it
(the OCI runtime specification, `linux.seccomp`).
"""

from __future__ import annotations

import json

ALLOWED = """
accept accept4 access arch_prctl bind brk capget chdir chmod clock_getres clock_gettime
clock_nanosleep close close_range connect copy_file_range dup dup2 dup3 epoll_create epoll_create1
epoll_ctl epoll_pwait epoll_pwait2 epoll_wait eventfd eventfd2 execve execveat exit exit_group
faccessat faccessat2 fadvise64 fallocate fchdir fchmod fchmodat fcntl fdatasync flock fork fstat
fstatfs fsync ftruncate futex futex_waitv getcwd getdents getdents64 getegid geteuid getgid
getgroups getitimer getpeername getpgid getpgrp getpid getppid getpriority getrandom getresgid
getresuid getrlimit getrusage getsid getsockname getsockopt get_robust_list gettid gettimeofday
getuid inotify_add_watch inotify_init inotify_init1 inotify_rm_watch ioctl kill link linkat listen
lseek lstat madvise membarrier memfd_create mincore mkdir mkdirat mlock mmap mprotect mremap msync
munlock munmap nanosleep newfstatat open openat openat2 pause pidfd_open pidfd_send_signal pipe
pipe2 poll ppoll prctl pread64 preadv preadv2 prlimit64 pselect6 pwrite64 pwritev pwritev2 read
readahead readlink readlinkat readv recvfrom recvmmsg recvmsg rename renameat renameat2
restart_syscall rmdir rseq rt_sigaction rt_sigpending rt_sigprocmask rt_sigqueueinfo rt_sigreturn
rt_sigsuspend rt_sigtimedwait rt_tgsigqueueinfo sched_getaffinity sched_getattr sched_getparam
sched_get_priority_max sched_get_priority_min sched_getscheduler sched_setaffinity sched_yield
select sendfile sendmmsg sendmsg sendto set_robust_list set_tid_address setgid setgroups setitimer
setpgid setpriority setrlimit setsid setsockopt setuid shutdown sigaltstack socketpair splice stat
statfs statx symlink symlinkat sync_file_range sysinfo tgkill time timer_create timer_delete
timer_getoverrun timer_gettime timer_settime timerfd_create timerfd_gettime timerfd_settime times
tkill truncate umask uname unlink unlinkat utimensat vfork wait4 waitid write writev
""".split()  # noqa: SIM905 - as a literal it would fill three pages

# Of sockets only those that networks and resolvers need: no AF_VSOCK, AF_ALG, AF_PACKET, …
_FAMILIES = {"AF_UNIX": 1, "AF_INET": 2, "AF_INET6": 10, "AF_NETLINK": 16}
_NAMESPACES = 0x7E020000
"""CLONE_NEW* flags of clone(2): a new namespace is a way to capabilities in it."""
_ENOSYS = 38


def _profile() -> str:
    rules: list[dict[str, object]] = [
        {"names": sorted(ALLOWED), "action": "SCMP_ACT_ALLOW"},
        {"names": ["clone"], "action": "SCMP_ACT_ALLOW",
         "args": [{"index": 0, "value": _NAMESPACES, "valueTwo": 0, "op": "SCMP_CMP_MASKED_EQ"}]},
        # Its flags are behind a pointer that seccomp cannot follow; libc falls back to clone.
        {"names": ["clone3"], "action": "SCMP_ACT_ERRNO", "errnoRet": _ENOSYS},
    ]  # fmt: skip
    rules += [
        {"names": ["socket"], "action": "SCMP_ACT_ALLOW",
         "args": [{"index": 0, "value": number, "op": "SCMP_CMP_EQ"}]}
        for number in _FAMILIES.values()
    ]  # fmt: skip
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
