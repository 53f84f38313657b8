"""An engine that does not see this machine's files: secrets reach it as volumes, and its door is
reached through Docker's own connection. Works for every kind of Docker context.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress

from seawall.wire import places

from .docker import Docker

CHUNK_BYTES = 64 * 1024

_WRITE = """
import json, os, sys
os.umask(0o022)
for service, values in json.load(sys.stdin).items():
    home = "/secrets/" + service
    os.chmod(home, 0o755)
    for name, value in values.items():
        path, new = home + "/" + name, home + "/.new"
        if os.path.exists(path) and open(path).read() == value:
            continue
        with open(new, "w") as file:
            file.write(value)
        os.chmod(new, 0o444)
        os.replace(new, path)
    for name in set(os.listdir(home)) - set(values):
        os.unlink(home + "/" + name)
"""
"""Run as root in a container without a network, its input the values: none is on a command line."""

_RELAY = f"""
import os, socket, threading
door = socket.create_connection(("127.0.0.1", {places.DOOR_PORT}), 10)
door.settimeout(None)
def back():
    while data := door.recv(65536):
        view = memoryview(data)
        while view:
            view = view[os.write(1, view):]
    os._exit(0)
threading.Thread(target=back, daemon=True).start()
while data := os.read(0, 65536):
    door.sendall(data)
door.shutdown(socket.SHUT_WR)
threading.Event().wait()
"""


def put_secrets(
    docker: Docker,
    image: str,
    volumes: Mapping[str, str],
    values: Mapping[str, Mapping[str, str]],
    labels: Mapping[str, str],
) -> None:
    """Write secrets into volumes, service by service, making those that are not there.

    `image`: one that has Python. Raises OperatorError.
    """
    given = [word for key, value in labels.items() for word in ("--label", f"{key}={value}")]
    mounts: list[str] = []
    for service, volume in sorted(volumes.items()):
        docker.ask("volume", "create", *given, volume)
        mounts += ["--volume", f"{volume}:/secrets/{service}"]
    chosen = {service: dict(values.get(service, {})) for service in volumes}
    hardened = ("--network", "none", "--user", "0:0", "--cap-drop", "ALL", "--read-only",
                "--security-opt", "no-new-privileges")  # fmt: skip
    docker.ask("run", "--rm", "--interactive", *hardened, *mounts, "--entrypoint", "python3", image,
               "-ISc", _WRITE, given=json.dumps(chosen))  # fmt: skip


@asynccontextmanager
async def tunnel(docker: Docker, container: str) -> AsyncIterator[str]:
    """A port of this machine's own that leads to the door in `container`; yields its URL."""
    command = docker.command("exec", "--interactive", container, "python3", "-ISc", _RELAY)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        process = await asyncio.create_subprocess_exec(
            *command, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL, process_group=0,
        )  # fmt: skip
        assert process.stdin is not None  # noqa: S101 - they are pipes
        assert process.stdout is not None  # noqa: S101
        there = asyncio.create_task(_copy(reader, process.stdin))
        try:
            await _copy(process.stdout, writer)
        finally:
            there.cancel()
            writer.close()
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        host, port = server.sockets[0].getsockname()
        yield f"http://{host}:{port}"


async def _copy(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError):
        while data := await source.read(CHUNK_BYTES):
            target.write(data)
            await target.drain()
        if target.can_write_eof():
            target.write_eof()
