"""Existing services through gateways: a real PostgreSQL of another Compose project, by psycopg."""

from __future__ import annotations

import json
import os
import socketserver
import subprocess
import threading
import time
from collections.abc import Iterator
from typing import Any

import harness
import pytest
from internet import Internet
from test_egress import World

from seawall.render.dockerfile import lock
from seawall.render.refusals import pins

POSTGRES = "seawall-test-postgres:trixie"
START = """\
printf pw > /tmp/pw && chown -R postgres /tmp/pw && cd /tmp
bin=$(ls -d /usr/lib/postgresql/*/bin)
su postgres -c "$bin/initdb -D /tmp/d -A scram-sha-256 -U shop --pwfile /tmp/pw" > /dev/null
(cd /etc && exec python3 -m http.server 5433) &
echo "host all all all scram-sha-256" >> /tmp/d/pg_hba.conf
exec su postgres -c "$bin/postgres -D /tmp/d -h 0.0.0.0 -k /tmp -c cluster_name=$NAME"
"""
GREETS = """\
import socketserver
class Mail(socketserver.StreamRequestHandler):
    def handle(self):
        self.wfile.write(b"220 mail is here\\r\\n")
        self.wfile.write(b"250 " + self.rfile.readline())
socketserver.ThreadingTCPServer(("0.0.0.0", 25), Mail).serve_forever()
"""
SHOP = {
    "services": {
        "postgres": {"image": POSTGRES, "command": ["sh", "-c", START],
                     "environment": {"NAME": "first"}},
        "other": {"image": POSTGRES, "command": ["sh", "-c", START],
                  "environment": {"NAME": "second"}},
        "mail": {"image": POSTGRES, "command": ["python3", "-c", GREETS],
                 "networks": {"default": {"ipv4_address": "192.168.219.25"}}},
    },
    "networks": {"default": {"ipam": {"config": [{"subnet": "192.168.219.0/24"}]}}},
}  # fmt: skip
SQL = """\
import psycopg
from seawall import tool


@tool
def ask(host: str, question: str) -> str:
    "What the database answers."
    with psycopg.connect(host=host, user="shop", password="pw", dbname="postgres",
                         connect_timeout=5) as link:
        return str(link.execute(question).fetchall())
"""
REQUIREMENTS = """\
psycopg==3.2.10
psycopg-binary==3.2.10
typing-extensions=={version}
"""


def spec(network: str, port: int) -> dict[str, str]:
    return {
        "seawall.yaml": f"""\
seawall: 1
name: connects
main: lead
defaults: {{model: none}}
agents:
  lead: {{instructions: Ask., tools: [sql], connects: [db, mail, posted, closed, sneaky, machine]}}
  idle: {{instructions: Wait.}}
tools:
  sql:
    functions: sql.py
    requirements: requirements.txt
    allow_unhashed_requirements: true
    connects: [db, second]
services:
  db: {{host: postgres, port: 5432, network: {network}}}
  second: {{host: other, port: 5432, network: {network}}}
  mail: {{host: mail, port: 25, network: {network}}}
  posted: {{host: "192.168.219.25", port: 25, network: {network}}}
  closed: {{host: mail, port: 26, network: {network}}}
  sneaky: {{host: keeper, port: 8081, network: {network}}}
  machine: host.docker.internal:{port}
models:
  none: {{model: "openai:none", base_url: "http://models.example.com/v1"}}
""",
        "sql.py": SQL,
        "requirements.txt": REQUIREMENTS.format(version=pins(lock("bridge"))["typing-extensions"]),
    }


class Hello(socketserver.StreamRequestHandler):
    """What listens on the machine that Docker runs on."""

    def handle(self) -> None:
        self.wfile.write(b"this machine\n")


@pytest.fixture(scope="module")
def world(engine: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("services")
    name = f"services-{os.getpid()}"
    subprocess.run([str(harness.HERE / "make_base"), POSTGRES, "postgresql"], check=True,
                   timeout=900)  # fmt: skip
    shop = ("compose", "--project-name", f"{name}-shop", "--file", str(folder / "shop.yaml"))
    (folder / "shop.yaml").write_text(json.dumps(SHOP).replace("$", "$$"))
    machine = socketserver.ThreadingTCPServer(("0.0.0.0", 0), Hello)
    threading.Thread(target=machine.serve_forever, daemon=True).start()
    mesh = harness.write(folder / "mesh", spec(f"{name}-shop_default", machine.server_address[1]),
                         name)  # fmt: skip
    internet = Internet(mesh.project, folder / "certs", {"public": ("a.example.com",)})
    try:
        internet.prepare()
        # What is not there yet is named before anything is built.
        early = mesh.seawall("up", check=False)
        assert early.returncode == 3
        assert f"services/closed: network: there is no Docker network `{name}-shop_default`" in (
            early.stdout + early.stderr
        )
        harness.docker(*shop, "up", "--detach")
        mesh.seawall("up")
        made = World(mesh, internet)
        for service in ("agent-lead", "agent-idle"):
            made.clients[service] = internet.client(mesh.container(service))
        yield made
    finally:
        internet.remove_clients()
        mesh.remove()
        harness.docker(*shop, "down", "--timeout", "1", "--volumes", check=False)
        internet.remove()
        machine.shutdown()
        machine.server_close()


CALL = """\
import json, sys, urllib.request
call = {"jsonrpc": "2.0", "id": 1, "method": "tools/call",
        "params": {"name": "ask", "arguments": {"host": sys.argv[1], "question": sys.argv[2]}}}
headers = {"content-type": "application/json", "accept": "application/json, text/event-stream",
           "x-seawall-agent": "lead"}
asked = urllib.request.Request("http://127.0.0.1:8080/mcp", json.dumps(call).encode(), headers)
print(urllib.request.urlopen(asked, timeout=20).read().decode())
"""
PSYCOPG = """\
import psycopg, sys
with psycopg.connect(host=sys.argv[1], user="shop", password="pw", dbname="postgres",
                     connect_timeout=5) as link:
    print(link.execute("show cluster_name").fetchone()[0])
"""
TALK = """\
import socket, sys
s = socket.create_connection((sys.argv[1], int(sys.argv[2])), 5)
s.settimeout(5)
print(s.recv(100).decode().strip())
if len(sys.argv) > 3:
    s.sendall(sys.argv[3].encode() + b"\\r\\n")
    print(s.recv(100).decode().strip())
"""


def asked(world: World, host: str, question: str) -> str:
    """What the tool says of a database."""
    done = world.mesh.exec("tool-sql", "python3", "-c", CALL, host, question)
    return done.stdout + done.stderr


def talk(world: World, service: str, *words: str) -> harness.Done:
    return world.beside(service, "python3", "-c", TALK, *words)


def line(world: World, service: str, rule: str) -> dict[str, Any]:
    """A gateway's last line of a rule, when it comes."""
    until = time.monotonic() + 10
    while time.monotonic() < until:
        found = [k for k in world.log(service) if k["rule"] == rule]
        if found:
            return found[-1]
        time.sleep(0.3)
    raise AssertionError(f"no line of {rule}")


def test_a_tool_asks_postgres_with_a_client_of_its_own_project(world: World) -> None:
    # By the spec's name and by the host's own.
    for name in ("db", "postgres"):
        assert "first" in asked(world, name, "show cluster_name")
    assert "42" in asked(world, "db", "select 6 * 7")


def test_two_databases_at_one_port_are_two(world: World) -> None:
    for name in ("second", "other"):
        assert "second" in asked(world, name, "show cluster_name")
    assert "first" in asked(world, "db", "show cluster_name")


def test_an_agent_asks_postgres(world: World) -> None:
    for name in ("db", "postgres"):
        done = world.beside("agent-lead", "python3", "-c", PSYCOPG, name)
        assert "first" in done.stdout, done.stderr


def test_a_server_that_speaks_first_at_a_low_port(world: World) -> None:
    done = talk(world, "agent-lead", "mail", "25", "helo lead")
    assert done.stdout.splitlines() == ["220 mail is here", "250 helo lead"], done.stderr


def test_a_service_by_its_address(world: World) -> None:
    done = talk(world, "agent-lead", "posted", "25")
    assert done.stdout.strip() == "220 mail is here", done.stderr


def test_a_service_that_moved_is_found_again(world: World) -> None:
    assert talk(world, "agent-lead", "mail", "25").stdout.strip() == "220 mail is here"
    network, container = f"{world.mesh.name}-shop_default", f"{world.mesh.name}-shop-mail-1"

    def move(address: str) -> float:
        harness.docker("network", "disconnect", network, container)
        harness.docker("network", "connect", "--ip", address, "--alias", "mail", network, container)
        until = time.monotonic() + 100
        while "220" not in talk(world, "agent-lead", "mail", "25").stdout:
            assert time.monotonic() < until, "it was never found"
            time.sleep(2)
        return 100 - (until - time.monotonic())

    print("found after", [round(move(f"192.168.219.{n}")) for n in (77, 25)], "seconds")


def test_the_machine_that_docker_runs_on(world: World) -> None:
    port = world.mesh.folder.joinpath("seawall.yaml").read_text().rpartition("internal:")[2]
    done = talk(world, "agent-lead", "machine", port.split()[0])
    assert done.stdout.strip() == "this machine", done.stderr


@pytest.mark.parametrize(("host", "port"), [
    ("postgres", "5433"), ("db", "5433"), ("mail", "587"), ("db", "9000"), ("gateway", "22"),
])  # fmt: skip
def test_no_other_port(world: World, host: str, port: str) -> None:
    done = talk(world, "agent-lead", host, port)
    assert "ConnectionRefusedError" in done.stderr, done


def test_no_other_host(world: World) -> None:
    inspected = harness.docker("inspect", "--format",
                               "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}",
                               f"{world.mesh.name}-shop-other-1")  # fmt: skip
    for host in ("other", "second", inspected.stdout.strip()):
        done = world.beside("agent-lead", "python3", "-c", PSYCOPG, host)
        assert done.returncode != 0
        assert "second" not in done.stdout


def test_who_does_not_connect_reaches_nothing(world: World) -> None:
    address = dict(
        pair.split(":") for pair in world.mesh.inspect("agent-lead")["HostConfig"]["ExtraHosts"]
    )["db"]
    own = world.mesh.inspect("gateway-agent-idle")["NetworkSettings"]["Networks"]
    mine = own[f"{world.mesh.project}_agent-idle"]["IPAddress"]
    for host in ("db", "postgres", address, mine, "gateway"):
        done = world.beside("agent-idle", "python3", "-c", PSYCOPG, host)
        assert done.returncode != 0
        assert "first" not in done.stdout
    assert not [n for n in own if n.endswith("shop_default")]


def test_a_name_that_stands_for_the_meshs_own_is_not_reached(world: World) -> None:
    done = talk(world, "agent-lead", "sneaky", "8081", "GET / HTTP/1.0\r\n")
    assert "HTTP" not in done.stdout
    said = line(world, "agent-lead", "service sneaky")
    assert (said["status"], said["details"]) == (503, "NoHealthyUpstream")


def test_a_line_for_each_connection(world: World) -> None:
    asked(world, "db", "select 'a-secret-question'")
    said = line(world, "tool-sql", "service db")
    assert (said["tool"], said["host"], said["status"]) == ("sql", "postgres:5432", 200)
    assert said["received"] > 0
    assert said["sent"] > 0
    assert said["ms"] >= 0
    assert "a-secret-question" not in json.dumps(world.log("tool-sql"))
    talk(world, "agent-lead", "mail", "26")
    closed = line(world, "agent-lead", "service closed")
    assert closed["status"] == 503
    assert "UpstreamConnectionFailure" in closed["details"]
