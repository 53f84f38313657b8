"""What the gateway adds to a request; needs a Docker Engine.

The same request with and without the gateway, in turns, from containers on the same machine: to the
keeper (an answer that needs no broker), and to scripted models, which passes the lease check and is
metered. Then a task's round trip through door, gateways and keeper. Idle containers: `idle`.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "docker"))
import harness
from guarded import Guarded

CALLS = 400
METERED_CALLS = 300
"""Fewer: a lease that nobody renews lasts 15 seconds, for two rounds."""
CLIENT = """
import http.client, json, statistics, sys, time
host, port, path, calls = sys.argv[1], int(sys.argv[2]), sys.argv[3], int(sys.argv[4])
body, more = (sys.argv[5:] + ["{}", "{}"])[:2]
headers = {"content-type": "application/json", **json.loads(more)}
link, took = http.client.HTTPConnection(host, port, timeout=10), []
for n in range(calls + 20):
    began = time.perf_counter()
    link.request("POST", path, body.encode(), headers)
    status = link.getresponse(); status.read()
    took.append((time.perf_counter() - began) * 1000)
took = sorted(took[20:])
print(json.dumps([statistics.median(took), took[int(len(took) * 0.99)], status.status]))
"""


def call(mesh: harness.Mesh, service: str, host: str, port: int, path: str) -> list[float]:
    """Median and 99th percentile in milliseconds, and the last status."""
    done = harness.docker("exec", mesh.container(service), "python3", "-c", CLIENT, host, str(port),
                          path, str(CALLS))  # fmt: skip
    found: list[float] = json.loads(done.stdout)
    return found


TAKE = """
import http.client
link = http.client.HTTPConnection("gateway", 8080, timeout=60)
link.request("POST", "/keeper/v1/take", b'{"replica": "bench", "wait_seconds": 20}')
print(link.getresponse().read().decode())
"""
MODEL = json.dumps({"model": "claude-sonnet-4-5", "max_tokens": 100, "system": "Be brief. " * 400,
                    "messages": [{"role": "user", "content": "hello"}]})  # fmt: skip


def metered(mesh: harness.Mesh) -> None:
    """A model call of 4 kB, direct and through lease check, reservation and settlement."""
    agent = mesh.container("agent-a0")
    image = json.loads(harness.docker("inspect", agent).stdout)[0]["Config"]["Image"]
    harness.docker("stop", agent)  # it would take the lease
    client = f"{mesh.project}-client"
    harness.docker("run", "--detach", "--name", client, "--network", f"{mesh.project}_agent-a0",
                   "--entrypoint", "sleep", image, "600")  # fmt: skip
    try:
        Guarded(mesh, mesh.folder).run()
        lease = json.loads(harness.docker("exec", client, "python3", "-c", TAKE).stdout)
        for _ in range(2):
            found = []
            for container, where, more in (
                (mesh.container("gateway-agent-a0"), ("models", "8400", "/v1/messages"),
                 {"x-seawall-agent": "a0"}),
                (client, ("gateway", "8080", "/models/0/v1/messages"),
                 {"authorization": f"Bearer {lease['token']}"}),
            ):  # fmt: skip
                done = harness.docker("exec", container, "python3", "-c", CLIENT, *where,
                                      str(METERED_CALLS), MODEL, json.dumps(more))  # fmt: skip
                found.append(json.loads(done.stdout))
            direct, through = found
            print(f"with metering    direct p50 {direct[0]:5.2f} p99 {direct[1]:5.2f} ms   through "
                  f"the gateway p50 {through[0]:5.2f} p99 {through[1]:5.2f} ms   added p50 "
                  f"{through[0] - direct[0]:+5.2f} ms (goal: 2)   status {direct[2]:.0f} "
                  f"{through[2]:.0f}", flush=True)  # fmt: skip
    finally:
        harness.docker("rm", "--force", client, check=False)
        harness.docker("start", agent)


def measure(mesh: harness.Mesh) -> None:
    """Print every figure."""
    metered(mesh)
    for _ in range(2):
        direct = call(mesh, "gateway-agent-a0", "keeper", 8080, "/v1/renew")
        through = call(mesh, "agent-a0", "gateway", 8080, "/keeper/v1/renew")
        print(f"to the keeper    direct p50 {direct[0]:5.2f} p99 {direct[1]:5.2f} ms   through the "
              f"gateway p50 {through[0]:5.2f} p99 {through[1]:5.2f} ms   "
              f"added p50 {through[0] - direct[0]:+5.2f} ms (goal: 0.5)", flush=True)  # fmt: skip
    times = []
    for _ in range(5):
        began = time.monotonic()
        mesh.ask("hello")
        times.append(time.monotonic() - began)
    print(f"run, one model turn: median {sorted(times)[2]:.2f} s, the command's start included")


def main() -> None:
    """Bring a mesh of one agent up, measure, take it down."""
    from tests.bench.compose_up import spec

    if reason := harness.missing():
        print(reason)
        return
    harness.make_base()
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        mesh = harness.write(Path(folder), spec(1), f"bench-gateway-{os.getpid()}")
        try:
            mesh.seawall("up", "--offline")
            measure(mesh)
        finally:
            mesh.remove()


if __name__ == "__main__":
    main()
