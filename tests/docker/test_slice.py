"""The thin line: a mesh comes up on Docker, answers through its door, and goes without a trace."""

from __future__ import annotations

import harness


def test_a_question_is_answered_through_door_keeper_gateways_and_tool(team: harness.Mesh) -> None:
    done = team.ask("one two three four")
    assert "The worker says: 4 words" in done.stdout


def test_an_agent_reaches_its_gateway_and_no_name_outside(team: harness.Mesh) -> None:
    reach = "import socket; socket.create_connection(({!r}, {}), 3)"
    assert team.python("agent-worker", reach.format("gateway", 8080)).returncode == 0
    for name, port in (("keeper", 8080), ("broker", 6379), ("tool-text", 8080), ("1.1.1.1", 53)):
        assert team.python("agent-worker", reach.format(name, port)).returncode != 0, name
