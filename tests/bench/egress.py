"""What the gateway adds on the way out, against mitmproxy and squid doing the same job.

Two jobs, each with one connection and with 32: a tunnel to a granted host (CONNECT; the proxy
sees names only), and a request in plain HTTP to which the proxy adds a key before it speaks TLS
to the host. The rivals log each request, squid allows that one host; what only the gateway does
besides (it refuses private addresses, holds a tunnel's SNI to its host) is in its figures. The
host is nginx with TLS, in a container. Needs a Docker Engine; `make bench ARGS=egress`.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "docker"))
import harness
import internet

HERE = Path(__file__).parent
IMAGE, MITM = "seawall-bench-egress:trixie", "seawall-bench-mitmproxy:trixie"
PACKAGES = "nginx-light,squid-openssl"
OUT, KEYED = "api.example.com", "key.example.com"
SUBNET = "203.0.113.0/24"
ROUNDS, CALLS = 5, 800
KEY = "a-key-of-the-benchmark"
SPEC = f"""\
seawall: 1
name: out
main: lead
defaults: {{model: none}}
agents:
  lead:
    instructions: Ask.
    egress:
      - host: {OUT}
      - {{host: {KEYED}, auth: {{bearer: KEY}}}}
secrets: {{KEY: {{file: key}}}}
trusted_cas: [ca.pem]
models:
  none: {{model: "openai:none", base_url: "http://models.example.com/v1"}}
"""
NGINX = """\
daemon off; error_log stderr; pid /tmp/nginx.pid;
events { worker_connections 1024; }
http {
  access_log off; keepalive_requests 1000000;
  server { listen 443 ssl; ssl_certificate /certs/leaf.pem; ssl_certificate_key /certs/leaf.key;
    location / { default_type text/plain; return 200 "you sent $http_authorization"; } }
}
"""
SQUID = f"""\
http_port 3128
http_port 3129 accel defaultsite={KEYED}
cache_peer {KEYED} parent 443 0 no-query originserver tls tls-cafile=/certs/ca.pem name=keyed
acl granted dstdomain {OUT}
acl keyed dstdomain {KEYED}
acl CONNECT method CONNECT
cache_peer_access keyed allow keyed
request_header_add Authorization "Bearer {KEY}" keyed
http_access allow CONNECT granted
http_access allow keyed
http_access deny all
cache deny all
access_log stdio:/tmp/access.log
cache_log /tmp/cache.log
pid_filename none
shutdown_lifetime 0
visible_hostname squid
"""
MITMPROXY = """\
FROM {base}
COPY mitmproxy.lock /lock
RUN --mount=type=secret,id=ca python3 -m venv /venv && \\
    PIP_CERT=/run/secrets/ca /venv/bin/pip install --quiet --no-deps --require-hashes -r /lock
"""


def images() -> None:
    """The base, nginx and squid from Debian, mitmproxy from its lock."""
    harness.make_base()
    subprocess.run([str(harness.HERE / "make_base"), IMAGE, PACKAGES], check=True, timeout=900)
    ca = next((path for path in harness.CA_FILES if Path(path).is_file()), os.devnull)
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "Dockerfile").write_text(MITMPROXY.format(base=harness.BASE_IMAGE))
        lock = (HERE / "rivals" / "mitmproxy.lock").read_bytes()
        Path(folder, "mitmproxy.lock").write_bytes(lock)
        harness.docker("build", "--quiet", "--secret", f"id=ca,src={ca}", "--tag", MITM, folder,
                       timeout=900)  # fmt: skip


class World:
    """The host outside, the rivals before it, and who asks."""

    def __init__(self, name: str, folder: Path) -> None:
        self.name, self.certs = name, folder / "certs"
        self.containers: list[str] = []
        self.networks = [f"{name}-outside", f"{name}-inside"]

    def start(self) -> None:
        """Everything but the mesh."""
        internet.certificates(self.certs, [OUT, KEYED])
        self.certs.parent.chmod(0o755)
        (self.certs / "nginx.conf").write_text(NGINX)
        (self.certs / "squid.conf").write_text(SQUID)
        outside, inside = self.networks
        harness.docker("network", "create", "--internal", "--subnet", SUBNET, outside)
        harness.docker("network", "create", "--internal", inside)
        names = [w for n in (OUT, KEYED) for w in ("--network-alias", n)]
        self.run("host", outside, IMAGE, "nginx", "-c", "/certs/nginx.conf", options=names)
        self.run("squid", inside, IMAGE, "squid", "-N", "-f", "/certs/squid.conf", out=True)
        trust = ("--set", "ssl_verify_upstream_trusted_ca=/certs/ca.pem")
        mitm = ("/venv/bin/mitmdump", "--set", "confdir=/tmp/mitm", *trust)
        self.run("mitm-tunnel", inside, MITM, *mitm, "--listen-port", "8080",
                 "--ignore-hosts", f"^{OUT}:443$", out=True)  # fmt: skip
        self.run("mitm-keyed", inside, MITM, *mitm, "--listen-port", "8080",
                 "--mode", f"reverse:https://{KEYED}",
                 "--modify-headers", f"/~q/authorization/Bearer {KEY}", out=True)  # fmt: skip
        self.run("asks-direct", outside, IMAGE, "sleep", "inf")
        self.run("asks-rivals", inside, IMAGE, "sleep", "inf")

    def run(
        self,
        name: str,
        network: str,
        image: str,
        *command: str,
        options: list[str] | None = None,
        out: bool = False,
    ) -> None:
        """Start one container; `out`: it is on the host's network too."""
        full = f"{self.name}-{name}"
        self.containers.append(full)
        harness.docker("create", "--name", full, "--network", network,
                       *(options or ["--network-alias", name]), "--log-driver", "local",
                       "--volume", f"{self.certs}:/certs:ro", image, *command)  # fmt: skip
        if out:
            harness.docker("network", "connect", self.networks[0], full)
        harness.docker("start", full)

    def beside(self, mesh: harness.Mesh) -> None:
        """Somebody who asks from where the agent is; its gateway reaches the host."""
        self.run("asks-gateway", f"container:{mesh.container('agent-lead')}", IMAGE, "sleep", "inf",
                 options=["--user", "10001"])  # fmt: skip
        harness.docker("network", "connect", self.networks[0], mesh.container("gateway-agent-lead"))

    def ask(self, who: str, job: dict[str, Any]) -> list[float]:
        """One run of the client."""
        code = (HERE / "_egress_client.py").read_text()
        done = harness.docker("exec", f"{self.name}-asks-{who}", "python3", "-c", code,
                              json.dumps(job))  # fmt: skip
        found: list[float] = json.loads(done.stdout)
        return found

    def remove(self) -> None:
        """Take it away."""
        harness.docker("rm", "--force", *self.containers, check=False)
        harness.docker("network", "rm", *self.networks, check=False)


TUNNEL = {"host": OUT, "port": 443, "secure": True, "tunnel": True}
KEYED_JOB = {"host": KEYED, "port": 80, "secure": False, "tunnel": False, "said": KEY}
STRAIGHT = {"host": KEYED, "port": 443, "secure": True, "tunnel": False}
WAYS: dict[str, dict[str, tuple[str, dict[str, Any]]]] = {
    "a tunnel": {
        "direct": ("direct", {**TUNNEL, "proxy": None}),
        "gateway": ("gateway", {**TUNNEL, "proxy": ["gateway", 8080]}),
        "squid": ("rivals", {**TUNNEL, "proxy": ["squid", 3128]}),
        "mitmproxy": ("rivals", {**TUNNEL, "proxy": ["mitm-tunnel", 8080]}),
    },
    "a key added": {
        "direct": ("direct", {**STRAIGHT, "proxy": None}),
        "gateway": ("gateway", {**KEYED_JOB, "proxy": ["gateway", 8080]}),
        "squid": ("rivals", {**KEYED_JOB, "proxy": ["squid", 3129]}),
        "mitmproxy": ("rivals", {**KEYED_JOB, "proxy": ["mitm-keyed", 8080]}),
    },
}
LOADS = (
    ("1 kept", {"connections": 1, "calls": CALLS, "fresh": False}),
    ("32 kept", {"connections": 32, "calls": CALLS * 4, "fresh": False}),
    ("1 new each", {"connections": 1, "calls": CALLS // 8, "fresh": True}),
)


def measure(world: World) -> None:
    """Every way under every load, in turns; medians of the rounds."""
    for what, ways in WAYS.items():
        for load, numbers in LOADS:
            found: dict[str, list[list[float]]] = {name: [] for name in ways}
            for _ in range(ROUNDS):
                for name, (who, job) in ways.items():
                    found[name].append(world.ask(who, {**job, **numbers}))
            of = {n: [statistics.median(c) for c in zip(*r, strict=True)] for n, r in found.items()}
            base = of["direct"]
            for name, (p50, p99, rate) in of.items():
                line = f"{what:12} {load:11} {name:10} p50 {p50:6.2f} ms ({p50 - base[0]:+6.2f})"
                line += f"   p99 {p99:6.2f} ({p99 - base[1]:+6.2f})   {rate:6.0f}/s"
                print(line, flush=True)


@contextmanager
def placed() -> Iterator[tuple[World, harness.Mesh]]:
    """The world and a mesh in it; gone afterwards."""
    name = f"bench-egress-{os.getpid()}"
    with tempfile.TemporaryDirectory(prefix="bench-") as temporary:
        folder = Path(temporary)
        world = World(name, folder)
        mesh = harness.write(folder / "mesh", {"seawall.yaml": SPEC, "key": KEY}, name)
        try:
            world.start()
            (mesh.folder / "ca.pem").write_bytes((world.certs / "ca.pem").read_bytes())
            mesh.seawall("up")
            world.beside(mesh)
            yield world, mesh
        finally:
            mesh.remove()  # its gateway is on the host's network
            world.remove()


def main() -> None:
    """Print a line a way and load, and what each proxy holds in memory."""
    if reason := harness.missing():
        print(reason)
        return
    images()
    with placed() as (world, mesh):
        measure(world)
        mine = mesh.container("gateway-agent-lead")
        rivals = (f"{world.name}-{n}" for n in ("squid", "mitm-tunnel", "mitm-keyed"))
        for name, container in (("gateway", mine), *((r.partition("-")[2], r) for r in rivals)):
            used = harness.docker("stats", "--no-stream", "--format", "{{.MemUsage}}", container)
            print(f"memory afterwards, {name:30} {used.stdout.partition('/')[0]}")


if __name__ == "__main__":
    main()
