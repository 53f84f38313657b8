"""What leaves a mesh and what does not, by ordinary clients inside real containers."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from typing import Any

import harness
import pytest
from internet import Internet

CANARY = "canary-77c1-never-in-a-log"
LIAR = "liar.example.net"
"""A host whose certificate is for other names."""
PUBLIC = ("key.example.com", "query.example.com", "few.example.com",
          "api.example.com", "other.example.com", "plain.example.com", "a.example.org",
          "b.a.example.org", "example.org")  # fmt: skip
PRIVATE = (
    "rebound-key.example.com",
    "rebound.example.com",
    "rebound-plain.example.com",
    "home.example.com",
)
SPEC = {
    "seawall.yaml": """\
seawall: 1
name: out
main: lead
defaults: {model: none}
agents:
  lead:
    instructions: Ask.
    tools: [web]
    egress:
      - host: api.example.com
      - host: "*.example.org:8443"
      - {host: plain.example.com, allow_plain_http: true}
      - host: rebound.example.com
      - {host: rebound-plain.example.com, allow_plain_http: true}
      - {host: home.example.com, allow_private_addresses: true}
      - {host: key.example.com, auth: {bearer: KEY}, methods: [GET], paths: [/v1]}
      - {host: query.example.com, port: 8443, auth: {query: api_key, secret: KEY}}
      - {host: few.example.com, requests_per_minute: 3, body: 1KiB}
      - {host: liar.example.net, via: gateway}
      - {host: rebound-key.example.com, auth: {bearer: KEY}}
  idle: {instructions: Ask.}
secrets: {KEY: {file: key}}
trusted_cas: [ca.pem]
tools:
  web: {functions: web.py, egress: [{host: api.example.com}]}
  alone: {functions: web.py}
models:
  none: {model: "openai:none", base_url: "http://models.example.com/v1"}
""",
    "key": CANARY,
    "web.py": """\
from seawall import tool


@tool
def fetch(url: str) -> str:
    "What a page says."
    import ssl, urllib.request
    context = ssl.create_default_context(cafile="/tmp/ca.pem")
    return urllib.request.urlopen(url, context=context, timeout=10).read().decode()
""",
}


class World:
    """A mesh and the internet it is let out to."""

    def __init__(self, mesh: harness.Mesh, internet: Internet) -> None:
        self.mesh, self.internet = mesh, internet
        self.clients: dict[str, str] = {}

    def place(self, service: str) -> None:
        """Put ordinary clients beside a container."""
        ca = (self.internet.folder / "ca.pem").read_text()
        self.clients[service] = self.internet.client(self.mesh.container(service))
        for container in (self.mesh.container(service), self.clients[service]):
            harness.docker("exec", "-i", container, "sh", "-c", "cat > /tmp/ca.pem", stdin=ca)

    def curl(self, service: str, *args: str) -> tuple[int, str, str]:
        """Curl's exit code, what it got and what it said."""
        command = ("curl", "--silent", "--show-error", "--max-time", "15",
                   "--cacert", "/tmp/ca.pem", *args)  # fmt: skip
        done = self.beside(service, *command)
        return done.returncode, done.stdout, done.stderr

    def beside(self, service: str, *command: str) -> harness.Done:
        """Run a client where a container is on the network, as its user, with its environment."""
        return harness.docker("exec", self.clients[service], *command, check=False)

    def get(self, service: str, *args: str) -> dict[str, Any]:
        """What a server, or the gateway in its place, answered in JSON."""
        code, out, err = self.curl(service, *args)
        assert code == 0, (code, out, err)
        found: dict[str, Any] = json.loads(out)
        return found

    def refused(self, service: str, url: str, *args: str) -> None:
        """No tunnel, or a refusal in plain HTTP; and nobody outside was asked."""
        before = [self.internet.seen(side) for side in self.internet.names]
        code, out, err = self.curl(service, "--write-out", "\n%{http_code}", *args, url)
        assert code != 0 or out.rpartition("\n")[2] in ("403", "503"), (url, code, out, err)
        assert before == [self.internet.seen(side) for side in self.internet.names]

    def log(self, service: str) -> list[dict[str, Any]]:
        """A gateway's lines."""
        said = harness.docker("logs", self.mesh.container(f"gateway-{service}")).stdout
        return [json.loads(line) for line in said.splitlines() if line.startswith("{")]


@pytest.fixture(scope="module")
def world(engine: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("egress")
    mesh = harness.write(folder / "mesh", SPEC, f"egress-{os.getpid()}")
    internet = Internet(
        mesh.project, folder / "certs", {"public": PUBLIC, "private": PRIVATE}, (LIAR,)
    )
    try:
        internet.start()
        (mesh.folder / "ca.pem").write_bytes((internet.folder / "ca.pem").read_bytes())
        mesh.seawall("up")
        for gateway in ("gateway-agent-lead", "gateway-tool-web"):
            internet.join(mesh.container(gateway))
        made = World(mesh, internet)
        for service in ("agent-lead", "agent-idle", "tool-web", "tool-alone"):
            made.place(service)
        yield made
    finally:
        internet.remove_clients()
        mesh.remove()
        internet.remove()


@pytest.mark.parametrize("service", ["agent-lead", "tool-web"])
def test_a_granted_host_is_reached_over_tls(world: World, service: str) -> None:
    said = world.get(service, "https://api.example.com/x?key=1", "--data", "hello")
    assert (said["method"], said["path"], said["body"]) == ("POST", "/x?key=1", "hello")
    assert not [name for name in said["headers"] if name.startswith(("x-", "proxy"))]


REQUESTS = "import requests; print(requests.get('{}', verify='/tmp/ca.pem', timeout=9).status_code)"
HTTPX = """\
import httpx, ssl
context = ssl.create_default_context(cafile='/tmp/ca.pem')
print(httpx.get('{}', verify=context, timeout=9).status_code)"""


@pytest.mark.parametrize("code", [REQUESTS, HTTPX])
def test_ordinary_clients_need_no_setting(world: World, code: str) -> None:
    def fetched(url: str) -> harness.Done:
        return world.beside("agent-lead", "python3", "-c", code.format(url))

    assert fetched("https://api.example.com/").stdout.strip() == "200"
    assert fetched("http://plain.example.com/").stdout.strip() == "200"
    assert fetched("https://other.example.com/").returncode != 0
    assert fetched("http://other.example.com/").stdout.strip() == "403"


CALL = """\
import json, sys, urllib.request
call = {"jsonrpc": "2.0", "id": 1, "method": "tools/call",
        "params": {"name": "fetch", "arguments": {"url": sys.argv[1]}}}
headers = {"content-type": "application/json", "accept": "application/json, text/event-stream",
           "x-seawall-agent": "lead"}
asked = urllib.request.Request("http://127.0.0.1:8080/mcp", json.dumps(call).encode(), headers)
print(urllib.request.urlopen(asked, timeout=20).read().decode())
"""


def test_a_tools_own_code_goes_through_its_gateway(world: World) -> None:
    def fetched(url: str) -> str:
        done = world.mesh.exec("tool-web", "python3", "-c", CALL, url)
        return done.stdout + done.stderr

    assert "/from-a-tool" in fetched("https://api.example.com/from-a-tool")
    assert "Tunnel connection failed: 403" in fetched("https://other.example.com/")


def test_plain_http_where_it_was_granted(world: World) -> None:
    forged = ("x-seawall-agent: x", "x-forwarded-for: 1.2.3.4", "proxy-authorization: Basic eA==")
    headers = [word for header in forged for word in ("--header", header)]
    said = world.get("agent-lead", "http://plain.example.com/a/../b", "--path-as-is", *headers)
    assert said["path"] == "/b"
    assert said["headers"]["host"] == "plain.example.com"
    assert not [name for name in said["headers"] if name.startswith(("x-", "proxy"))]


def test_a_wildcard_holds_all_names_below_and_not_the_domain(world: World) -> None:
    for name in ("a.example.org", "b.a.example.org"):
        assert world.get("agent-lead", f"https://{name}:8443/")["port"] == 8443
    world.refused("agent-lead", "https://example.org:8443/")
    world.refused("agent-lead", "https://a.example.org/")


def test_a_refusal_names_agent_host_and_the_line_to_add(world: World) -> None:
    said = world.get("agent-lead", "http://other.example.com/")
    assert said["agent"] == "lead"
    assert said["host"] == "other.example.com"
    assert said["remedy"] == (
        "In seawall.yaml, below agents/lead: "
        'egress: [{host: "other.example.com", allow_plain_http: true}]'
    )
    code, _, told = world.curl("agent-lead", "--verbose", "https://other.example.com/")
    assert code != 0
    assert "CONNECT tunnel failed, response 403" in told
    lone = world.get("agent-idle", "http://other.example.com/")
    assert lone["agent"] == "idle"
    # What the remedy says is a spec.
    time.sleep(1.5)
    lines = [k for k in world.log("agent-lead") if k["host"] == "other.example.com:443"]
    assert {(k["status"], k["rule"], k["agent"]) for k in lines} == {(403, "refused", "lead")}


@pytest.mark.parametrize("url", [
    "https://other.example.com/", "https://api.example.com:8443/", "http://api.example.com/",
    "https://plain.example.com/", "http://plain.example.com:8080/",
    "https://203.0.113.2/", "http://203.0.113.2/", "http://169.254.169.254/latest/meta-data/",
    "http://2852039166/", "http://0xa9fea9fe/", "http://0251.0376.0251.0376/",
    "http://[::ffff:169.254.169.254]/", "https://[::1]/", "http://127.0.0.1:9000/",
    "http://keeper:8080/v1/take", "https://tool-web:8080/", "http://metadata.google.internal/",
    "https://api.example.com.:443/", "https://api.example.com@other.example.com/",
])  # fmt: skip
def test_nothing_else_is_reached(world: World, url: str) -> None:
    # NO_PROXY would have curl try 127.0.0.1 itself: a hostile client asks the gateway.
    world.refused("agent-lead", url, "--noproxy", "", "--proxy", "http://gateway:8080")


@pytest.mark.parametrize(
    "url", ["https://rebound.example.com/", "http://rebound-plain.example.com/"]
)
def test_a_name_that_came_to_stand_for_a_private_address_is_not_reached(
    world: World, url: str
) -> None:
    world.refused("agent-lead", url)
    host = url.split("/")[2]
    time.sleep(1.5)
    lines = [line for line in world.log("agent-lead") if host in str(line["rule"])]
    # No address was left of the answer.
    assert (403, "NoHealthyUpstream") in [(k["status"], k.get("flags")) for k in lines], lines


def test_a_private_address_that_was_declared_is_reached(world: World) -> None:
    assert world.get("agent-lead", "https://home.example.com/")["port"] == 443


TUNNEL = """\
import socket, ssl, sys
host, sni = sys.argv[1:]
s = socket.create_connection(("gateway", 8080), 10)
s.sendall(f"CONNECT {host} HTTP/1.1\\r\\nHost: {host}\\r\\n\\r\\n".encode())
print(s.recv(4096).split()[1].decode())
if sni == "-":
    s.sendall(b"GET / HTTP/1.1\\r\\nHost: other.example.com\\r\\n\\r\\n")
    print(len(s.recv(4096)))
else:
    context = ssl.create_default_context(cafile="/tmp/ca.pem")
    context.check_hostname = False
    try:
        with context.wrap_socket(s, server_hostname=sni or None) as t:
            t.sendall(b"GET /sni HTTP/1.1\\r\\nHost: other.example.com\\r\\n\\r\\n")
            print(len(t.recv(4096)))
    except OSError as error:
        print(type(error).__name__)
"""


@pytest.mark.parametrize("sni", ["other.example.com", "a.example.org", "home.example.com", "", "-"])
def test_in_a_tunnel_nothing_but_tls_to_the_granted_name(world: World, sni: str) -> None:
    before = len(world.internet.seen())
    done = world.mesh.exec("agent-lead", "python3", "-c", TUNNEL, "api.example.com:443", sni)
    status, came = done.stdout.split()
    assert status == "200"
    assert came in ("0", "SSLEOFError", "ConnectionResetError", "SSLZeroReturnError"), done
    assert len(world.internet.seen()) == before


def test_what_was_granted_nothing_has_no_way_out_at_all(world: World) -> None:
    networks = world.mesh.inspect("gateway-agent-idle")["NetworkSettings"]["Networks"]
    # Its model is outside; the tool without egress has no gateway, and no proxy is set there.
    assert f"{world.mesh.project}_gateway-tool-alone" not in networks
    assert not world.mesh.containers("gateway-tool-alone")
    assert "PROXY" not in world.mesh.exec("tool-alone", "env").stdout
    code, _, told = world.curl("tool-alone", "https://api.example.com/")
    assert code == 6, told


def test_one_tools_gateway_serves_no_other(world: World) -> None:
    gateways = world.mesh.inspect("gateway-tool-web")["NetworkSettings"]["Networks"]
    for network in gateways.values():
        code, out, _ = world.curl("tool-alone", "--proxy", f"http://{network['IPAddress']}:8080",
                                  "https://api.example.com/", "--connect-timeout", "3")  # fmt: skip
        assert code != 0, out


def test_the_gateway_adds_a_key_that_the_agent_never_holds(world: World) -> None:
    said = world.get("agent-lead", "http://key.example.com/v1/things?x=1",
                     "--header", "authorization: Bearer my-lease")  # fmt: skip
    assert said["port"] == 443
    assert said["headers"]["authorization"] == f"Bearer {CANARY}"
    assert said["headers"]["host"] == "key.example.com"
    assert said["path"] == "/v1/things?x=1"
    said = world.get("agent-lead", "http://query.example.com/s?q=a&api_key=mine")
    assert said["port"] == 8443
    assert sorted(said["path"].partition("?")[2].split("&")) == [f"api_key={CANARY}", "q=a"]
    for word in ("env", "cat /proc/1/environ", "cat /seawall/profile.json"):
        assert CANARY not in world.mesh.exec("agent-lead", "sh", "-c", word).stdout


@pytest.mark.parametrize("args", [
    ("http://key.example.com/v1/x", "--request", "POST"), ("http://key.example.com/v2",),
    ("http://key.example.com/v1x",), ("http://key.example.com/v1/../v2", "--path-as-is"),
    ("http://key.example.com/v1/%2e%2e/v2", "--path-as-is"),
    ("http://key.example.com/v1/..%2fv2", "--path-as-is"), ("https://key.example.com/v1/",),
    ("http://key.example.com/v1/", "--header", "connection: upgrade", "--header",
     "upgrade: websocket", "--header", "sec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==",
     "--header", "sec-websocket-version: 13"),
])  # fmt: skip
def test_other_methods_paths_and_protocols_do_not_pass(world: World, args: tuple[str, ...]) -> None:
    before = len(world.internet.seen())
    code, out, _ = world.curl("agent-lead", "--output", "/dev/null",
                              "--write-out", "%{http_code}", *args)  # fmt: skip
    assert code != 0 or out in ("400", "403"), (code, out)
    assert len(world.internet.seen()) == before


def test_limits_of_rate_and_size(world: World) -> None:
    def status(*args: str) -> str:
        return world.curl("agent-lead", "--output", "/dev/null", "--write-out", "%{http_code}",
                          "http://few.example.com/", *args)[1]  # fmt: skip

    assert status("--data", "x" * 1025) == "413"
    chunked = ("--header", "transfer-encoding: chunked", "--data", "x" * 5000)
    assert status(*chunked) == "413"
    assert [status("--data", "x" * 1000), status(), status()] == ["200", "429", "429"]


@pytest.mark.parametrize("url", ["http://rebound-key.example.com/", f"http://{LIAR}/"])
def test_a_key_is_sent_to_nobody_who_is_not_the_host(world: World, url: str) -> None:
    world.refused("agent-lead", url)


SMUGGLED = {
    "both lengths": "content-length: 4\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n"
    "GET /smuggled HTTP/1.1\r\nhost: plain.example.com\r\n\r\n",
    "two lengths": "content-length: 4\r\ncontent-length: 40\r\n\r\nabcd",
    "odd coding": "transfer-encoding: xchunked\r\n\r\n0\r\n\r\n",
    "space in a name": "content-length : 4\r\n\r\nabcd",
    "large header": f"x: {'a' * 70_000}\r\n\r\n",
    "many headers": "".join(f"x{n}: 1\r\n" for n in range(200)) + "\r\n",
}
RAW = """\
import socket, sys
s = socket.create_connection(("gateway", 8080), 10)
s.settimeout(5)
s.sendall(sys.stdin.buffer.read())
try:
    print(s.recv(4096).split()[1].decode())
except (OSError, IndexError):
    print("closed")
"""


@pytest.mark.parametrize("how", SMUGGLED)
def test_ambiguous_and_oversized_requests_are_refused(world: World, how: str) -> None:
    before = len(world.internet.seen())
    head = "POST http://plain.example.com/x HTTP/1.1\r\nhost: plain.example.com\r\n"
    done = harness.docker("exec", "-i", world.mesh.container("agent-lead"), "python3", "-c", RAW,
                          stdin=head + SMUGGLED[how])  # fmt: skip
    assert done.stdout.strip() in ("400", "431", "501", "closed")
    assert len(world.internet.seen()) == before


def test_a_line_for_each_request_and_no_secret_in_any(world: World) -> None:
    world.get("agent-lead", "http://query.example.com/logged?q=whose")
    time.sleep(1.5)
    (line,) = [k for k in world.log("agent-lead") if k.get("path") == "/logged"]
    assert line["agent"] == "lead"
    assert line["host"] == "query.example.com:8443"
    assert (line["rule"], line["status"]) == ("egress query.example.com:8443", 200)
    assert line["received"] == 0
    assert line["sent"] > 0
    assert line["ms"] >= 0
    everything = json.dumps([world.log("agent-lead"), world.log("tool-web")])
    assert "whose" not in everything
    assert CANARY not in everything


def test_the_log_of_all_gateways_by_a_line_each(world: World) -> None:
    world.get("agent-lead", "http://query.example.com/told?q=whose")
    world.refused("tool-web", "https://untold.example.com/")
    time.sleep(2)
    said = world.mesh.seawall("logs", "--egress", "--json", "--tail", "all").stdout
    lines = [json.loads(line) for line in said.splitlines()]
    assert [k["time"] for k in lines] == sorted(k["time"] for k in lines)
    (line,) = [k for k in lines if k["path"] == "/told"]
    assert (line["agent"], line["status"], line["denied"]) == ("lead", 200, False)
    assert (line["run"], line["task"]) == (None, None)  # an ordinary client has no lease
    (line,) = [k for k in lines if k["host"] == "untold.example.com:443"]
    assert (line["tool"], line["status"], line["denied"]) == ("web", 403, True)
    denied = world.mesh.seawall("logs", "--egress", "--denied", "web").stdout
    head, *rows = denied.splitlines()
    assert head.split()[:3] == ["time", "who", "run/task"]
    assert any("CONNECT untold.example.com:443" in row for row in rows)
    assert not [row for row in rows if " lead " in row or " 200 " in row]
    assert "whose" not in said
