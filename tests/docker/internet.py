"""A fake internet: named hosts with TLS by a test CA, on Docker networks of their own.

`public` has addresses that are nobody's private ones (RFC 5737), `private` has a home's.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import harness

CLIENTS = "seawall-test-clients:trixie"
PACKAGES = "curl,python3-requests,python3-httpx,python3-psycopg,openssl"
SERVER = """\
import http.server, json, socketserver, ssl, sys, threading
class Echo(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def answer(self):
        size = int(self.headers.get("content-length") or 0)
        body = self.rfile.read(size).decode()
        said = {"method": self.command, "path": self.path, "body": body, "size": size,
                "port": self.server.server_address[1],
                "headers": {k.lower(): v for k, v in self.headers.items()}}
        print(json.dumps(said), flush=True)
        data = json.dumps(said).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(data)))
        self.send_header("content-type", "application/json")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)
    do_GET = do_POST = do_PUT = do_DELETE = do_HEAD = answer
    def log_message(self, *_): pass
def serve(port, secure):
    server = http.server.ThreadingHTTPServer(("0.0.0.0", port), Echo)
    if secure:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain("/certs/leaf.pem", "/certs/leaf.key")
        server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever).start()
for port, secure in ((80, False), (8080, False), (443, True), (8443, True)):
    serve(port, secure)
"""


def certificates(folder: Path, names: Sequence[str]) -> None:
    """A CA, and a certificate of its for all names."""
    folder.mkdir(parents=True)
    san = ",".join(f"DNS:{name}" for name in names)
    (folder / "ext").write_text(f"subjectAltName={san}\n")
    new = ["openssl", "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    for line in (
        [*new, "-x509", "-days", "2", "-subj", "/CN=test CA", "-keyout", "ca.key",
         "-addext", "keyUsage=critical,keyCertSign,cRLSign", "-out", "ca.pem"],
        [*new, "-subj", "/CN=leaf", "-keyout", "leaf.key", "-out", "leaf.csr"],
        ["openssl", "x509", "-req", "-in", "leaf.csr", "-CA", "ca.pem", "-CAkey", "ca.key",
         "-CAcreateserial", "-days", "2", "-extfile", "ext", "-out", "leaf.pem"],
    ):  # fmt: skip
        subprocess.run(line, cwd=folder, check=True, capture_output=True)
    for file in folder.iterdir():
        file.chmod(0o644)


SUBNETS = {"public": "203.0.113.0/24", "private": "192.168.217.0/24", "mixed": "198.16.0.0/14"}
"""`mixed` holds addresses of both kinds: one name can stand for two."""
ADDRESSES = {"public": "198.16.0.8", "private": "198.18.0.8"}
"""In `mixed`."""


@dataclass
class Internet:
    """Two networks, with a server on each that answers to many names."""

    name: str
    folder: Path
    names: dict[str, tuple[str, ...]]
    """`public` and `private` to the names there."""
    unproved: tuple[str, ...] = ()
    """Names of the public server that its certificate does not hold."""
    made: list[str] = field(default_factory=list)
    clients: list[str] = field(default_factory=list)

    def prepare(self) -> None:
        """Make the image and the certificates."""
        subprocess.run([str(harness.HERE / "make_base"), CLIENTS, PACKAGES], check=True,
                       timeout=900)  # fmt: skip
        certificates(self.folder, [n for names in self.names.values() for n in names])

    def start(self) -> None:
        """Make the images, networks and servers."""
        self.prepare()
        for side, names in self.names.items():
            network = f"{self.name}-{side}"
            harness.docker("network", "create", "--internal", "--subnet", SUBNETS[side],
                           network)  # fmt: skip
            self.made.append(network)
            all_names = (*names, *(self.unproved if side == "public" else ()))
            aliases = [word for name in all_names for word in ("--network-alias", name)]
            harness.docker("run", "--detach", "--name", network, "--network", network, *aliases,
                           "--volume", f"{self.folder}:/certs:ro", CLIENTS,
                           "python3", "-c", SERVER)  # fmt: skip

    def mix(self, names: Sequence[str], listening: Sequence[str] = tuple(ADDRESSES)) -> None:
        """A network on which each name stands for two addresses, a public and a private one.

        Docker gives the two in any order. Those not in `listening` accept no connection.
        """
        network = f"{self.name}-mixed"
        if network not in self.made:
            harness.docker("network", "create", "--internal", "--subnet", SUBNETS["mixed"],
                           network)  # fmt: skip
            self.made.append(network)
        aliases = [word for name in names for word in ("--network-alias", name)]
        for kind, address in ADDRESSES.items():
            serves = ("python3", "-c", SERVER) if kind in listening else ("sleep", "3600")
            name = f"{network}-{kind}"
            harness.docker("rm", "--force", name, check=False)
            harness.docker("run", "--detach", "--name", name, "--network", network, "--ip", address,
                           *aliases, "--volume", f"{self.folder}:/certs:ro", CLIENTS,
                           *serves)  # fmt: skip

    def client(self, container: str) -> str:
        """A container with clients on the network of another: its user, its environment."""
        seen = json.loads(harness.docker("inspect", container).stdout)[0]["Config"]
        given = [w for pair in seen["Env"] if "proxy" in pair.lower() for w in ("--env", pair)]
        name = f"{self.name}-client-{len(self.clients)}"
        self.clients.append(name)
        harness.docker("run", "--detach", "--name", name, "--network", f"container:{container}",
                       "--user", seen["User"], "--cap-drop", "ALL", *given, CLIENTS,
                       "sleep", "3600")  # fmt: skip
        return name

    def remove_clients(self) -> None:
        """Take the clients away."""
        for name in self.clients:
            harness.docker("rm", "--force", name, check=False)

    def join(self, container: str) -> None:
        """Let a gateway out here."""
        for network in self.made:
            harness.docker("network", "connect", network, container)

    def seen(self, side: str = "public") -> list[dict[str, Any]]:
        """What a server was asked, in order."""
        said = harness.docker("logs", f"{self.name}-{side}").stdout.splitlines()
        return [json.loads(line) for line in said if line.startswith("{")]

    def remove(self) -> None:
        """Take it away."""
        for network in self.made:
            for name in (network, *(f"{network}-{kind}" for kind in ADDRESSES)):
                harness.docker("rm", "--force", name, check=False)
            harness.docker("network", "rm", network, check=False)
