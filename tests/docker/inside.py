"""Attacks, run INSIDE a container: `docker exec -i … python3 - NAME ARGUMENTS < inside.py`.

Standard library only, and nothing of Seawall's: what an intruder would bring. Prints one value.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import http.client
import importlib.util
import json
import mmap
import os
import platform
import resource
import shutil
import socket
import struct
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

LIBC = ctypes.CDLL(None, use_errno=True)
SEND_TO_DEVICE = 25  # SO_BINDTODEVICE
X86, ARM = 0, 1
# Linux's numbers, on x86_64 and on aarch64 (asm-generic/unistd.h).
CALLS = {
    "ptrace": (101, 117), "mount": (165, 40), "umount2": (166, 39), "pivot_root": (155, 41),
    "chroot": (161, 51), "unshare": (272, 97), "setns": (308, 268), "keyctl": (250, 219),
    "add_key": (248, 217), "request_key": (249, 218), "bpf": (321, 280),
    "io_uring_setup": (425, 425), "io_uring_enter": (426, 426), "userfaultfd": (323, 282),
    "perf_event_open": (298, 241), "process_vm_readv": (310, 270), "process_vm_writev": (311, 271),
    "init_module": (175, 105), "finit_module": (313, 273), "kexec_load": (246, 104),
    "swapon": (167, 224), "acct": (163, 89), "sethostname": (170, 161), "personality": (135, 92),
    "open_by_handle_at": (304, 265), "name_to_handle_at": (303, 264), "fsopen": (430, 430),
    "move_mount": (429, 429), "open_tree": (428, 428), "mount_setattr": (442, 442),
    "mknodat": (259, 33), "clock_settime": (227, 112), "syslog": (103, 116), "kcmp": (312, 272),
    "pidfd_getfd": (438, 438), "seccomp": (317, 277), "fanotify_init": (300, 262),
    "memfd_secret": (447, 447), "memfd_create": (319, 279), "execveat": (322, 281),
    "splice": (275, 76), "vmsplice": (278, 75), "setuid": (105, 146), "setgid": (106, 144),
    "setgroups": (116, 159), "setresuid": (117, 147), "capset": (126, 91),
    "sched_setaffinity": (203, 122), "sched_setscheduler": (144, 119), "fchownat": (260, 54),
    "shmget": (29, 194), "msgget": (68, 186), "mq_open": (240, 180), "setxattr": (188, 5),
    "quotactl": (179, 60), "mbind": (237, 235), "move_pages": (279, 239), "reboot": (169, 142),
    "openat2": (437, 437), "process_madvise": (440, 440), "landlock_create_ruleset": (444, 444),
}  # fmt: skip
SOCKETS = {
    "packet": (17, 3, 0), "raw": (2, 3, 1), "raw6": (10, 3, 58), "ping": (2, 2, 1),
    "ping6": (10, 2, 58), "alg": (38, 5, 0), "vsock": (40, 1, 0), "bluetooth": (31, 3, 1),
    "netfilter": (16, 3, 12), "uevent": (16, 3, 15), "mptcp": (2, 1, 262), "sctp": (2, 1, 132),
    "udplite": (2, 2, 136), "xdp": (44, 3, 0), "can": (29, 3, 1), "tipc": (30, 1, 0),
}  # fmt: skip
NAMESPACES = {"user": 0x10000000, "net": 0x40000000, "mount": 0x20000, "pid": 0x20000000,
              "ipc": 0x08000000, "uts": 0x04000000, "cgroup": 0x02000000}  # fmt: skip


def calls() -> dict[str, str]:
    """How the kernel answers each dangerous call, made in a child of its own."""
    column = ARM if platform.machine() == "aarch64" else X86
    found = {name: _in_child(numbers[column]) for name, numbers in CALLS.items()}
    clone = (56, 220)[column]
    for name, flag in NAMESPACES.items():
        found[f"clone {name}"] = _in_child(clone, flag | 17)
    if column == X86:
        # Of another table of calls: x32's getpid; a filter that knows one table lets all pass.
        found["x32"] = _in_child(0x40000000 | 39)
        found["TIOCSTI"] = _in_child(16, 0, 0x5412)
        found["TIOCSTI, high bits"] = _in_child(16, 0, 0x100005412)
    return found


def _in_child(number: int, *arguments: int) -> str:
    receive, send = os.pipe()
    child = os.fork()
    if child == 0:
        ctypes.set_errno(0)
        wide = [ctypes.c_long(a) for a in (*arguments, 0, 0, 0, 0, 0, 0)][:6]
        done = LIBC.syscall(ctypes.c_long(number), *wide)
        code = ctypes.get_errno()
        os.write(send, errno.errorcode[code].encode() if done == -1 else b"done")
        os._exit(0)
    os.close(send)
    os.waitpid(child, 0)
    said = os.read(receive, 64).decode()
    os.close(receive)
    return said or "killed"


def sockets() -> dict[str, str]:
    """Which odd sockets open."""
    found = {}
    for name, kind in SOCKETS.items():
        try:
            socket.socket(*kind).close()
            found[name] = "done"
        except OSError as error:
            found[name] = _code(error)
    for family in (socket.AF_INET, socket.AF_INET6, socket.AF_UNIX):
        socket.socket(family).close()
    return found


def status() -> dict[str, Any]:
    """What the kernel says of this process and of PID 1."""
    own, first = (
        dict(line.split(":\t", 1) for line in Path(f"/proc/{p}/status").read_text().splitlines())
        for p in ("self", "1")
    )
    limits = {n: resource.getrlimit(getattr(resource, f"RLIMIT_{n}")) for n in ("CORE", "NOFILE")}
    mounts = [m.split() for m in Path("/proc/mounts").read_text().splitlines()]
    return {"own": own, "first": first, "limits": limits, "uid": os.getuid(), "gid": os.getgid(),
            "mounts": mounts}  # fmt: skip


def writable() -> list[str]:
    """Every folder in which a file can be made, and every file of /proc and /sys to write to."""
    found = []
    for root, folders, files in os.walk("/"):
        if root == "/proc":
            folders[:] = [f for f in folders if not f.isdigit()]
        try:
            path = os.path.join(root, f".attack-{os.getpid()}")
            os.close(os.open(path, os.O_CREAT | os.O_WRONLY, 0o600))
            os.unlink(path)
            found.append(root)
        except OSError:
            pass
        if root.startswith(("/proc/sys", "/proc/irq", "/sys", "/etc", "/seawall", "/usr/bin")):
            for name in files:
                with contextlib.suppress(OSError):
                    os.close(os.open(os.path.join(root, name), os.O_WRONLY))
                    found.append(os.path.join(root, name))
    return sorted(found)


def fill(folder: str) -> list[Any]:
    """How many bytes fit, and the error that ends it."""
    path, size = Path(folder) / "attack-fill", 0
    try:
        with path.open("wb", buffering=0) as file:
            while size < 2**30:
                size += file.write(b"\0" * 2**20)
        return [size, ""]
    except OSError as error:
        return [size, _code(error)]
    finally:
        path.unlink(missing_ok=True)


def run_from(folder: str) -> dict[str, str]:
    """A program, and a setuid copy of one, from a writable folder and from no file system."""
    path = Path(folder) / "attack-run"
    shutil.copyfile("/bin/true", path)
    path.chmod(0o4755)
    found = {"file": _run(str(path))}
    path.unlink()
    with contextlib.suppress(OSError):
        os.mkfifo(path)
        path.unlink()
    try:
        os.mknod(path, 0o20666, os.makedev(1, 1))
        found["device"] = "done"
    except OSError as error:
        found["device"] = _code(error)
    try:
        os.memfd_create("attack")
        found["memory"] = "done"
    except OSError as error:
        found["memory"] = _code(error)
    try:
        mapping = mmap.mmap(-1, 4096, prot=mmap.PROT_READ)
        mapping.close()
    except OSError as error:
        found["map"] = _code(error)
    return found


def _run(path: str) -> str:
    child = os.fork()
    if child == 0:
        try:
            os.execv(path, [path])
        except OSError as error:
            os._exit(error.errno or 255)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return errno.errorcode.get(code, "done")


def first_process() -> dict[str, str]:
    """What a neighbour of the same user learns of PID 1."""
    found = {}
    for name in ("environ", "mem", "maps", "cwd", "fd", "exe", "syscall", "stack", "io", "auxv"):
        try:
            path = f"/proc/1/{name}"
            if name in ("cwd", "exe"):
                os.readlink(path)
            elif name == "fd":
                os.listdir(path)
            else:
                with Path(path).open("rb") as file:
                    file.read(1)
            found[name] = "done"
        except OSError as error:
            found[name] = _code(error)
    return found


def files() -> dict[str, Any]:
    """What in the image would help an intruder."""
    setuid = []
    for root, _, names in os.walk("/"):
        if root.startswith(("/proc", "/sys")):
            continue
        for name in names:
            with contextlib.suppress(OSError):
                path = os.path.join(root, name)
                if os.lstat(path).st_mode & 0o6000:
                    setuid.append(path)
    helpful = ("gcc", "cc", "ld", "as", "make", "pip", "pip3", "curl", "wget", "nc", "ssh")
    sock = [p for p in ("/var/run/docker.sock", "/run/docker.sock") if os.path.exists(p)]
    masked: dict[str, int] = {}
    for name in ("/proc/kcore", "/proc/keys", "/proc/timer_list", "/proc/acpi", "/sys/firmware",
                 "/proc/sysrq-trigger", "/proc/kmsg", "/dev/mem", "/dev/kmsg"):  # fmt: skip
        try:
            place = Path(name)
            known = os.listdir(place) if place.is_dir() else place.read_bytes()[:99]
            masked[name] = len(known)
        except OSError:
            masked[name] = 0
    module = importlib.util.find_spec("pip") is not None
    return {"setuid": setuid, "programs": [n for n in helpful if shutil.which(n)], "sockets": sock,
            "masked": masked, "pip": module}  # fmt: skip


def fork_bomb(most: int) -> list[Any]:
    """Children until refused."""
    children: list[int] = []
    try:
        while len(children) < most:
            child = os.fork()
            if child == 0:
                time.sleep(60)
                os._exit(0)
            children.append(child)
        return [len(children), ""]
    except OSError as error:
        return [len(children), _code(error)]
    finally:
        for child in children:
            os.kill(child, 9)
        for child in children:
            os.waitpid(child, 0)


def spin(processes: int, seconds: float) -> float:
    """How many cores that many busy processes got."""
    began = time.monotonic()
    children = []
    for _ in range(processes):
        child = os.fork()
        if child == 0:
            while time.monotonic() < began + seconds:
                pass
            os._exit(0)
        children.append(child)
    used = sum(sum(os.wait4(child, 0)[2][:2]) for child in children)
    return used / (time.monotonic() - began)


def open_files() -> str:
    """Descriptors until refused."""
    kept: list[int] = []
    try:
        while len(kept) < 100_000:
            kept.append(os.open("/dev/null", os.O_RDONLY))
        return ""
    except OSError as error:
        return _code(error)
    finally:
        for one in kept:
            os.close(one)


def connect(targets: list[tuple[str, int]], seconds: float = 1.5) -> list[list[Any]]:
    """How each target answers TCP: by the routes there are, and forced through each interface."""
    devices = [None, *(name for _, name in socket.if_nameindex() if name != "lo")]
    tries = [(ip, port, device) for ip, port in targets for device in devices]
    with ThreadPoolExecutor(64) as pool:
        return list(pool.map(lambda t: [*t, _tcp(t[0], t[1], t[2], seconds)], tries))


def _tcp(ip: str, port: int, device: str | None, seconds: float) -> str:
    with socket.socket(socket.AF_INET6 if ":" in ip else socket.AF_INET) as sock:
        try:
            if device:
                sock.setsockopt(socket.SOL_SOCKET, SEND_TO_DEVICE, device.encode() + b"\0")
            sock.settimeout(seconds)
            sock.connect(socket.getaddrinfo(ip, port)[0][4])
            # A listener may take a connection and close it: only an answer is a way in.
            sock.sendall(b"PING\r\n" if port == 6379 else b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
            said = sock.recv(64)
            # Beyond the door, a network may answer for any address: a broker says PONG.
            wanted = b"+PONG" if port == 6379 else b""
            return "answers" if said and said.startswith(wanted) else "closed"
        except OSError as error:
            return _code(error)


def datagrams(addresses: list[str], port: int) -> int:
    """Send UDP by every way an unprivileged process has; how many the kernel took."""
    sent = 0
    for address in addresses:
        for number, name in socket.if_nameindex():
            info = struct.pack("i4s4s", number, bytes(4), bytes(4))  # IP_PKTINFO
            bound, told = (socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2))
            with bound, contextlib.suppress(OSError):
                bound.setsockopt(socket.SOL_SOCKET, SEND_TO_DEVICE, name.encode() + b"\0")
                sent += bound.sendto(b"attack", (address, port)) > 0
            with told, contextlib.suppress(OSError):
                sent += told.sendmsg([b"attack"], [(0, 8, info)], 0, (address, port)) > 0
    return sent


def source_route(gateway: str, target: str) -> str:
    """Loose source routing through the gateway: needs a privilege for the option alone."""
    hop = bytes([131, 7, 4]) + socket.inet_aton(gateway) + b"\0"
    with socket.socket() as sock:
        try:
            sock.setsockopt(socket.IPPROTO_IP, socket.IP_OPTIONS, hop)
            sock.settimeout(1.5)
            sock.connect((target, 8080))
            return "done"
        except OSError as error:
            return _code(error)


def resolve(names: list[str]) -> dict[str, list[str]]:
    """Addresses by name; none for what does not resolve."""

    def one(name: str) -> list[str]:
        with contextlib.suppress(OSError):
            return sorted({str(a[4][0]) for a in socket.getaddrinfo(name, 80)})
        return []

    with ThreadPoolExecutor(16) as pool:
        return dict(zip(names, pool.map(one, names), strict=True))


def network() -> dict[str, Any]:
    """Routes, addresses and switches of the network that this container sees."""
    routes = [line.split() for line in Path("/proc/net/route").read_text().splitlines()[1:]]
    v6 = Path("/proc/net/if_inet6")
    switches = {n: Path(f"/proc/sys/net/ipv4/{n}").read_text().split()
                for n in ("ip_forward", "conf/all/arp_ignore", "ping_group_range")}  # fmt: skip
    return {
        "default": [r for r in routes if r[1] == "00000000"],
        "interfaces": sorted({r[0] for r in routes}),
        "v6": [line for line in v6.read_text().splitlines() if not line.endswith("lo")]
        if v6.exists() else [],
        "switches": switches,
    }  # fmt: skip


def ask(method: str, path: str, headers: dict[str, str], body: str, seconds: float = 30) -> Any:
    """One proper HTTP request to the gateway: status, headers, body."""
    connection = http.client.HTTPConnection("gateway", 8080, timeout=seconds)
    connection.request(method, path, body.encode(), headers)
    answer = connection.getresponse()
    named = {k.lower(): v for k, v in answer.getheaders()}
    return [answer.status, named, answer.read().decode(errors="replace")]


def raw(requests: list[str]) -> list[str]:
    """Each text sent as it is to the gateway; what comes back."""

    def one(text: str) -> str:
        said = b""
        with socket.create_connection(("gateway", 8080), 5) as sock, contextlib.suppress(OSError):
            sock.settimeout(5)
            sock.sendall(text.encode("latin-1"))
            while part := sock.recv(65536):
                said += part
        return said.decode("latin-1")

    with ThreadPoolExecutor(16) as pool:
        return list(pool.map(one, requests))


def stream(path: str, headers: dict[str, str], body: str) -> list[float]:
    """When each event of a streamed answer came, in seconds from the first."""
    connection = http.client.HTTPConnection("gateway", 8080, timeout=30)
    connection.request("POST", path, body.encode(), headers)
    answer, times = connection.getresponse(), []
    while line := answer.readline():
        if line.startswith(b"data:"):
            times.append(time.monotonic())
    return [t - times[0] for t in times]


def _code(error: OSError) -> str:
    return errno.errorcode.get(error.errno or 0, type(error).__name__)


if __name__ == "__main__":
    attack: Callable[..., Any] = globals()[sys.argv[1]]
    print(json.dumps(attack(*json.loads(sys.argv[2]))))
