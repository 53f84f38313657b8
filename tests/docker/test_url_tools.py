"""MCP servers by URL, elsewhere: reached through the tool's gateway, with a key the tool never has.

The server is the official SDK's, with TLS and a check of the host that it is asked as.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from typing import Any

import harness
import pytest
from internet import Internet
from test_egress import World

CANARY = "canary-2f90-never-in-a-tool"
NAMES = ("mcp.example.com", "open.example.com", "moved.example.com")
LIAR = "liar.example.net"
SPEC = {
    "seawall.yaml": f"""\
seawall: 1
name: url
main: lead
defaults: {{model: none}}
agents:
  lead: {{instructions: Ask., tools: [wiki/look_up, open, moved, liar, plain]}}
secrets: {{WIKI_TOKEN: {{file: key}}}}
trusted_cas: [ca.pem]
tools:
  wiki:
    url: https://mcp.example.com/team/mcp
    auth: {{header: Authorization, prefix: "Bearer ", secret: WIKI_TOKEN}}
    allow_private_addresses: true
  open: {{url: "https://open.example.com:8443/mcp", allow_private_addresses: true}}
  plain:
    url: http://open.example.com:8080/mcp
    allow_plain_http: true
    allow_private_addresses: true
  moved: {{url: "https://moved.example.com/mcp"}}
  liar: {{url: "https://{LIAR}/mcp", allow_private_addresses: true}}
models:
  none: {{model: "openai:none", base_url: "http://models.example.com/v1"}}
""",
    "key": CANARY,
}
SERVER = """\
import asyncio, json, uvicorn
from mcp.server import MCPServer
from mcp.server.transport_security import TransportSecuritySettings
tools = MCPServer("wiki")
@tools.tool()
def look_up(word: str) -> str:
    "What a word means."
    return f"{word} is known here"
@tools.tool()
def erase(word: str) -> str:
    return f"{word} is gone"
hosts = ["mcp.example.com", "open.example.com:8443", "open.example.com:8080", "moved.example.com"]
guard = TransportSecuritySettings(allowed_hosts=hosts)
app = tools.streamable_http_app(transport_security=guard)
async def serve(scope, receive, send):
    if scope["type"] == "http":
        named = {k.decode(): v.decode() for k, v in scope["headers"]}
        print(json.dumps({"path": scope["path"], "method": scope["method"], "headers": named}),
              flush=True)
        # One server at two paths: a key for the one must not open the other.
        await app(scope | {"path": "/mcp"}, receive, send)
def server(port, secure):
    tls = {"ssl_certfile": "/certs/leaf.pem", "ssl_keyfile": "/certs/leaf.key"} if secure else {}
    return uvicorn.Server(uvicorn.Config(serve, host="0.0.0.0", port=port, log_level="warning",
                                         lifespan="off", **tls))
async def main():
    async with app.router.lifespan_context(app):
        await asyncio.gather(*(server(port, port != 8080).serve() for port in (443, 8443, 8080)))
asyncio.run(main())
"""


class Remote(World):
    """The world with an MCP server in it."""

    @property
    def server(self) -> str:
        """The server's container."""
        return f"{self.mesh.project}-mcp"

    def start(self) -> None:
        """On a network of its own, which the gateways of tools join."""
        network = self.server
        harness.docker("network", "create", "--internal", network)
        image = self.mesh.inspect("tool-wiki")["Config"]["Image"]
        aliases = [w for name in (*NAMES, LIAR) for w in ("--network-alias", name)]
        harness.docker("run", "--detach", "--name", network, "--network", network, *aliases,
                       "--user", "4711", "--volume", f"{self.internet.folder}:/certs:ro",
                       "--entrypoint", "python3", image, "-c", SERVER)  # fmt: skip
        for tool in ("wiki", "open", "moved", "liar", "plain"):
            harness.docker("network", "connect", network,
                           self.mesh.container(f"gateway-tool-{tool}"))  # fmt: skip

    def stop(self) -> None:
        harness.docker("rm", "--force", self.server, check=False)

    def seen(self) -> list[dict[str, Any]]:
        """What the server was asked."""
        said = harness.docker("logs", self.server).stdout.splitlines()
        return [json.loads(line) for line in said if line.startswith("{")]

    def call(self, tool: str, function: str, word: str = "tides") -> str:
        """What a tool's bridge answers the agent."""
        done = self.mesh.exec(f"tool-{tool}", "python3", "-c", CALL, function, word)
        return done.stdout + done.stderr

    def ask(self, tool: str, method: str, url: str) -> str:
        """The status that a tool's own container gets from its gateway."""
        return self.mesh.exec(f"tool-{tool}", "python3", "-c", ASK, method, url).stdout.strip()


CALL = """\
import json, sys, urllib.request
call = {"jsonrpc": "2.0", "id": 1, "method": "tools/call",
        "params": {"name": sys.argv[1], "arguments": {"word": sys.argv[2]}}}
headers = {"content-type": "application/json", "accept": "application/json, text/event-stream",
           "x-seawall-agent": "lead"}
asked = urllib.request.Request("http://127.0.0.1:8080/mcp", json.dumps(call).encode(), headers)
print(urllib.request.urlopen(asked, timeout=30).read().decode())
"""
ASK = """\
import sys, urllib.request
asked = urllib.request.Request(sys.argv[2], method=sys.argv[1])
try:
    print(urllib.request.urlopen(asked, timeout=10).status)
except OSError as error:
    print(getattr(error, "code", error))
"""


@pytest.fixture(scope="module")
def remote(engine: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Remote]:
    folder = tmp_path_factory.mktemp("url")
    mesh = harness.write(folder / "mesh", SPEC, f"url-{os.getpid()}")
    internet = Internet(mesh.project, folder / "certs", {"public": NAMES})
    made = Remote(mesh, internet)
    try:
        internet.prepare()
        (mesh.folder / "ca.pem").write_bytes((internet.folder / "ca.pem").read_bytes())
        # The servers are away: a mesh whose tools are elsewhere starts all the same.
        mesh.seawall("up")
        made.start()
        yield made
    finally:
        made.stop()
        mesh.remove()
        harness.docker("network", "rm", made.server, check=False)
        internet.remove()


def test_a_server_elsewhere_is_called_with_the_key_from_the_gateway(remote: Remote) -> None:
    assert "tides is known here" in remote.call("wiki", "look_up")
    asked = [one for one in remote.seen() if one["path"] == "/team/mcp"]
    assert {one["headers"]["authorization"] for one in asked} == {f"Bearer {CANARY}"}
    assert {one["headers"]["host"] for one in asked} == {"mcp.example.com"}
    assert not [n for one in asked for n in one["headers"] if n.startswith(("x-", "proxy"))]


@pytest.mark.parametrize(("tool", "host"), [
    ("open", "open.example.com:8443"), ("plain", "open.example.com:8080"),
])  # fmt: skip
def test_without_a_key_too(remote: Remote, tool: str, host: str) -> None:
    assert "reefs is known here" in remote.call(tool, "look_up", "reefs")
    last = remote.seen()[-1]["headers"]
    assert last["host"] == host
    assert "authorization" not in last


def test_functions_that_were_not_granted_stay_out_of_reach(remote: Remote) -> None:
    assert "has no function" in remote.call("wiki", "erase")
    assert "tides is gone" in remote.call("open", "erase")


@pytest.mark.parametrize("tool", ["moved", "liar"])
def test_a_private_address_and_a_server_that_is_not_the_host_are_told_nothing(
    remote: Remote, tool: str
) -> None:
    before = len(remote.seen())
    assert "does not answer" in remote.call(tool, "look_up")
    assert len(remote.seen()) == before


@pytest.mark.parametrize(("method", "url"), [
    ("POST", "http://mcp.example.com:443/mcp"), ("POST", "http://mcp.example.com:443/team/mcpx"),
    ("PUT", "http://mcp.example.com:443/team/mcp"), ("GET", "http://open.example.com:8443/mcp"),
    ("GET", "https://mcp.example.com/team/mcp"), ("GET", "http://other.example.com/"),
    ("GET", "http://mcp.example.com:443/team/mcp/../../mcp"),
])  # fmt: skip
def test_the_key_opens_the_one_endpoint_alone(remote: Remote, method: str, url: str) -> None:
    before = len(remote.seen())
    assert "403" in remote.ask("wiki", method, url)
    assert len(remote.seen()) == before


def test_the_key_is_nowhere_but_in_the_gateway(remote: Remote) -> None:
    remote.call("wiki", "look_up")
    container = remote.mesh.container("tool-wiki")
    places = [harness.docker("inspect", container).stdout, harness.docker("logs", container).stdout]
    places += [remote.mesh.exec("tool-wiki", "sh", "-c", f"cat {path}").stdout
               for path in ("/proc/1/environ", "/seawall/profile.json")]  # fmt: skip
    time.sleep(2)  # lines come once a second
    (*_, line) = [k for k in remote.log("tool-wiki") if k["status"] == 200]
    assert (line["tool"], line["rule"]) == ("wiki", "egress mcp.example.com:443")
    assert line["host"] == "mcp.example.com"
    places.append(json.dumps(remote.log("tool-wiki")))
    assert not [place for place in places if CANARY in place]
