"""Lines of gateways, as people and programs are told them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from seawall.cli import egress_log

SAID: dict[str, Any] = {
    "time": "2026-11-24T21:40:01.123Z", "agent": "lead", "run": "run-1234567890", "task": None,
    "method": "GET", "host": "api.example.com", "path": "/v1", "rule": "egress api.example.com:443",
    "status": 200, "details": "via_upstream", "received": 10, "sent": 2048, "ms": 7,
}  # fmt: skip


def read(**changed: Any) -> list[dict[str, Any]]:
    line = {key: value for key, value in {**SAID, **changed}.items() if value != "gone"}
    return list(egress_log.read(["[warning] Envoy says something", json.dumps(line), "{", "[]"]))


@pytest.mark.parametrize(
    ("changed", "denied"),
    [
        ({}, False),
        ({"status": 403}, False),  # the host's own word
        ({"rule": "model openai:gpt-4o"}, False),
        ({"status": 503, "details": "upstream_reset_before_response_started{x}"}, False),
        ({"rule": "refused", "status": 403, "details": "direct_response"}, True),
        ({"status": 429, "details": "local_rate_limited"}, True),
        ({"status": 413, "details": "request_payload_too_large"}, True),
        ({"status": 502, "details": "response_payload_too_large"}, True),
        ({"method": "gone", "status": 403, "details": "rbac_access_denied"}, True),
        ({"method": "gone", "rule": "service db", "details": "-"}, False),
        ({"method": "gone", "rule": "service db", "status": 503, "details": "UF"}, False),
        ({"rule": "model openai:gpt-4o", "status": 401, "details": "ext_authz_denied"}, True),
    ],
)
def test_denied_is_what_the_gateway_refused(changed: dict[str, Any], denied: bool) -> None:
    (line,) = read(**changed)
    assert line["denied"] is denied


@pytest.mark.parametrize("rule", ["keeper", "tool text"])
def test_what_stays_in_the_mesh_is_left_out_unless_it_was_refused(rule: str) -> None:
    assert read(rule=rule) == []
    assert len(read(rule=rule, status=401, details="ext_authz_denied")) == 1


def test_a_row_has_everything_and_no_control_character() -> None:
    (line,) = read(path="/a\x1b[2J\nb")
    told = egress_log.row(line)
    for part in ("21:40:01.123", "lead", "run-12345", "200", "10 B", "2.0 KiB", "7",
                 "egress api.example.com:443", "GET api.example.com/a"):  # fmt: skip
        assert part in told
    assert told.isprintable()
    heading = egress_log.head()
    assert heading.index("status") + len("status") == told.index("200") + 3


def test_a_dash_is_nothing_in_json() -> None:
    (line,) = read(run="-", task="-")
    assert (line["run"], line["task"]) == (None, None)
    assert egress_log.row(line).split()[2] == "-"
