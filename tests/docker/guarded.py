"""A mesh with real models' wire: a provider with TLS in a container of its own, and thieves.

The provider joins the gateway's side only after `up`, on a network that holds nobody else.
"""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import harness
from intruder import attack, services

CANARY = "canary-5a1f-never-in-a-log-or-layer"
SPEC = {
    "seawall.yaml": """\
seawall: 1
name: guarded
main: asker
defaults: {model: fast}
budgets: {run: {tokens: 100000}}
agents:
  asker: {instructions: Ask., delegates: [helper], tools: [text/measure]}
  helper: {instructions: Help.}
tools:
  text: {functions: tools/text.py}
models:
  fast:
    model: openai:house
    base_url: https://provider.test/v1
    secret: HOUSE_KEY
    allow_private_addresses: true
    fallbacks: [claude, liar, stranger, moved]
  claude:
    model: anthropic:claude-sonnet-4-5
    base_url: https://claude.test
    secret: OTHER_KEY
    allow_private_addresses: true
  liar:
    model: openai:house
    base_url: https://liar.test/v1
    secret: HOUSE_KEY
    allow_private_addresses: true
  stranger:
    model: openai:house
    base_url: https://stranger.test:8444/v1
    secret: HOUSE_KEY
    allow_private_addresses: true
  moved: {model: "openai:house", base_url: "https://moved.test/v1", secret: HOUSE_KEY}
secrets: {HOUSE_KEY: {file: house.key}, OTHER_KEY: {file: other.key}}
trusted_cas: [ca.pem]
""",
    "house.key": CANARY,
    "other.key": f"{CANARY}-other",
    "tools/text.py": """\
from seawall import tool


@tool
def measure(text: str) -> str:
    "How many words a text has."
    return f"{len(text.split())} words"


@tool
def erase(text: str) -> str:
    "Nobody was granted this."
    return "erased"
""",
}
NAMES = ("provider.test", "claude.test", "moved.test", "liar.test", "stranger.test")
"""The first three have a certificate that the gateways trust."""
SERVER = """\
import asyncio, hashlib, json
import uvicorn
from seawall.models.fake_plan import FakePlan
from seawall.models.fake_providers import app
wire = app(FakePlan(pause_seconds=0.3))
async def noted(scope, receive, send):
    if scope["type"] == "http":
        named = {k.decode(): v.decode() for k, v in scope["headers"]}
        key = named.get("x-api-key") or named.get("authorization", "").removeprefix("Bearer ")
        print(json.dumps({"path": scope["path"], "names": sorted(named), "host": named.get("host"),
              "key": hashlib.sha256(key.encode()).hexdigest()}), flush=True)
    await wire(scope, receive, send)
def server(port, name):
    return uvicorn.Server(uvicorn.Config(noted, host="0.0.0.0", port=port, log_level="warning",
        lifespan="off", ssl_certfile=f"/certs/{name}.pem", ssl_keyfile=f"/certs/{name}.key"))
async def main():
    await asyncio.gather(server(443, "known").serve(), server(8444, "unknown").serve())
asyncio.run(main())
"""

RENEW = """\
import http.client, sys, time
while True:
    gateway = http.client.HTTPConnection("gateway", 8080, timeout=10)
    gateway.request("POST", "/keeper/v1/renew", b"{}", {"authorization": "Bearer " + sys.argv[1]})
    gateway.getresponse().read()
    time.sleep(3)
"""


def certificates(folder: Path) -> None:
    """A CA with a certificate for two names, and another CA's that nobody trusts."""
    folder.mkdir()
    for ca, leaf, names in (("ca", "known", NAMES[:3]), ("foreign", "unknown", NAMES[4:])):
        san = ",".join(f"DNS:{name}" for name in names)
        (folder / "ext").write_text(f"subjectAltName={san}\n")
        new = ["openssl", "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
        for line in (
            [*new, "-x509", "-days", "2", "-subj", f"/CN={ca}", "-keyout", f"{ca}.key",
             "-out", f"{ca}.pem"],
            [*new, "-subj", f"/CN={leaf}", "-keyout", f"{leaf}.key", "-out", f"{leaf}.csr"],
            ["openssl", "x509", "-req", "-in", f"{leaf}.csr", "-CA", f"{ca}.pem", "-CAkey",
             f"{ca}.key", "-CAcreateserial", "-days", "2", "-extfile", "ext",
             "-out", f"{leaf}.pem"],
        ):  # fmt: skip
            subprocess.run(line, cwd=folder, check=True, capture_output=True)
    for file in folder.iterdir():
        file.chmod(0o644)


@dataclass
class Guarded:
    """The mesh, its provider, and an intruder in each agent's place."""

    mesh: harness.Mesh
    certs: Path
    answer: str = ""
    """What the agents, while they were there, answered through the provider."""

    @property
    def provider(self) -> str:
        """The provider's container."""
        return f"{self.mesh.project}-provider"

    def start(self, models_image: str) -> None:
        """Bring it all up."""
        if not self.certs.exists():
            certificates(self.certs)
        (self.mesh.folder / "ca.pem").write_bytes((self.certs / "ca.pem").read_bytes())
        self.mesh.seawall("up")
        harness.docker("network", "create", "--internal", self.provider)
        for agent in ("asker", "helper"):
            gateway = self.mesh.container(f"gateway-agent-{agent}")
            harness.docker("network", "connect", self.provider, gateway)
        aliases = [word for name in NAMES for word in ("--network-alias", name)]
        harness.docker(
            "run", "--detach", "--name", self.provider, "--network", self.provider, *aliases,
            "--user", "4711", "--cap-drop", "ALL", "--volume", f"{self.certs}:/certs:ro",
            "--entrypoint", "python3", models_image, "-c", SERVER,
        )  # fmt: skip

    def remove(self) -> None:
        """Take everything away."""
        for agent in ("asker", "helper"):
            harness.docker("rm", "--force", self.thief(agent), check=False)
        harness.docker("rm", "--force", self.provider, check=False)
        self.mesh.remove()
        harness.docker("network", "rm", self.provider, check=False)

    def thief(self, agent: str) -> str:
        """The container that stands in an agent's place."""
        return f"{self.mesh.project}-thief-{agent}"

    def replace_agents(self) -> None:
        """Stop the agents; intruders with the agents' own images stand on their networks."""
        for agent in ("asker", "helper"):
            container = self.mesh.container(f"agent-{agent}")
            seen = json.loads(harness.docker("inspect", container).stdout)[0]
            harness.docker("stop", container)
            network = f"{self.mesh.project}_agent-{agent}"
            harness.docker("run", "--detach", "--name", self.thief(agent), "--network", network,
                           "--entrypoint", "sleep", seen["Config"]["Image"], "3600")  # fmt: skip

    def ask(self, agent: str, path: str, message: Any = None, **more: str) -> tuple[int, Any]:
        """What an agent's gateway answers an intruder; `token` and other headers in `more`."""
        headers = {"content-type": "application/json",
                   "accept": "application/json, text/event-stream"}  # fmt: skip
        if token := more.pop("token", None):
            headers["authorization"] = f"Bearer {token}"
        headers |= {key.replace("_", "-"): value for key, value in more.items()}
        body = "" if message is None else json.dumps(message)
        method = "GET" if message is None else "POST"
        status, _, said = attack(self.thief(agent), "ask", method, path, headers, body)
        try:
            return status, json.loads(said)
        except ValueError:
            return status, said

    def run(self) -> str:
        """Start a run through the door; its id."""
        said = self.door("/v1/runs", {"input": "hello there"})
        return str(said["run"])

    def door(self, path: str, message: Any = None) -> Any:
        """One request of a person's."""
        return self.mesh.door(path, message)

    def take(self, agent: str) -> dict[str, Any]:
        """A lease for an intruder, as any replica gets one."""
        status, lease = self.ask(agent, "/keeper/v1/take", {"replica": "x", "wait_seconds": 20})
        assert status == 200, (status, lease)
        found: dict[str, Any] = lease
        return found

    def keep(self, agent: str, token: str) -> None:
        """Renew a lease from inside until the intruder goes, as its holder would."""
        harness.docker("exec", "--detach", self.thief(agent), "python3", "-c", RENEW, token)

    def asked(self) -> list[dict[str, Any]]:
        """What the provider was asked, the key as its hash."""
        said = harness.docker("logs", self.provider).stdout.splitlines()
        return [json.loads(line) for line in said if line.startswith("{")]

    def secret_file(self, agent: str, name: str) -> Path:
        """Where a gateway's key is on this machine."""
        return self.mesh.home / "secrets" / f"gateway-agent-{agent}" / name

    def containers(self) -> dict[str, str]:
        """Service to container, the stopped agents' too."""
        return services(self.mesh, "--all")


def eventually(seconds: float, holds: Any) -> None:
    """Wait until `holds()`; fail when it never does."""
    until = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < until, "it never came"
        time.sleep(0.5)


@contextmanager
def started(team: harness.Mesh, folder: Path, files: Mapping[str, str] = SPEC) -> Iterator[Guarded]:
    """A mesh with a provider behind TLS, named after its folder; gone afterwards."""
    name = folder.name.rstrip("0123456789")
    mesh = harness.write(folder / "mesh", dict(files), f"{name}-{os.getpid()}")
    made = Guarded(mesh, folder / "certs")
    try:
        made.start(team.inspect("models")["Config"]["Image"])
        yield made
    finally:
        made.remove()
