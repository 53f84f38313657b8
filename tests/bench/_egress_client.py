"""Asks one host many times, over kept connections or new ones; runs inside a container.

Given one JSON object: proxy (host and port, or null), host, port, tunnel, secure, connections,
calls, fresh.
Prints the median and the 99th percentile in milliseconds, and how many calls a second.
"""

import asyncio
import json
import ssl
import statistics
import sys
import time
from asyncio import StreamReader, StreamWriter
from typing import Any

Job = dict[str, Any]


async def connected(job: Job) -> tuple[StreamReader, StreamWriter]:
    """A connection to the host, through the proxy."""
    proxy = job["proxy"]
    context = ssl.create_default_context(cafile="/certs/ca.pem")
    if not proxy:
        return await asyncio.open_connection(
            job["host"], job["port"], ssl=context if job["secure"] else None
        )
    reader, writer = await asyncio.open_connection(*proxy)
    if job["tunnel"]:
        target = f"{job['host']}:{job['port']}"
        writer.write(f"CONNECT {target} HTTP/1.1\r\nhost: {target}\r\n\r\n".encode())
        said = await reader.readuntil(b"\r\n\r\n")
        assert b" 200 " in said, said
        await writer.start_tls(context, server_hostname=job["host"])
    return reader, writer


async def call(job: Job, reader: StreamReader, writer: StreamWriter) -> None:
    """One request and its answer."""
    where = f"http://{job['host']}" if job["proxy"] and not job["tunnel"] else ""
    writer.write(f"GET {where}/v1 HTTP/1.1\r\nhost: {job['host']}\r\n\r\n".encode())
    said = (await reader.readuntil(b"\r\n\r\n")).lower()
    assert b" 200 " in said.partition(b"\r\n")[0], said
    if b"chunked" in said:
        while (size := int(await reader.readline(), 16)) > 0:
            await reader.readexactly(size + 2)
        await reader.readline()
    else:
        length = said.partition(b"content-length:")[2].partition(b"\r\n")[0]
        body = await reader.readexactly(int(length))
        assert not job.get("said") or job["said"].encode() in body, body


async def kept(job: Job, took: list[float]) -> None:
    """All calls over one connection."""
    reader, writer = await connected(job)
    for n in range(job["calls"] // job["connections"] + 5):
        began = time.perf_counter()
        await call(job, reader, writer)
        if n >= 5:
            took.append((time.perf_counter() - began) * 1000)
    writer.close()


async def fresh(job: Job, took: list[float]) -> None:
    """Each call over a connection of its own."""
    for _ in range(job["calls"] // job["connections"]):
        began = time.perf_counter()
        reader, writer = await connected(job)
        await call(job, reader, writer)
        took.append((time.perf_counter() - began) * 1000)
        writer.close()


async def main() -> None:
    """Ask, and print."""
    job = json.loads(sys.argv[1])
    took: list[float] = []
    began = time.perf_counter()
    work = fresh if job["fresh"] else kept
    await asyncio.gather(*(work(job, took) for _ in range(job["connections"])))
    rate = len(took) / (time.perf_counter() - began)
    took.sort()
    each = [statistics.median(took), took[int(len(took) * 0.99)]]
    print(json.dumps([*each, rate]))


asyncio.run(main())
