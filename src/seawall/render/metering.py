"""The gateway's part of metering: the request to the keeper before, the answer's usage after.

Answers pass as they come; what is kept beside is a JSON answer, or the events that tell usage.
"""

from __future__ import annotations

from importlib import resources
from typing import Any

from seawall.wire import headers
from seawall.wire.messages import Fault
from seawall.wire.profiles import MODEL_REQUEST_BYTES_MAX

from . import envoy

SCRIPT_FILE = "meter.lua"
"""Beside the gateway's configuration, in its image."""

ROUTE: dict[str, Any] = {
    "typed_per_filter_config": {
        "envoy.filters.http.ext_authz": {
            "@type": f"{envoy.TYPES}.extensions.filters.http.ext_authz.v3.ExtAuthzPerRoute",
            "check_settings": {"with_request_body": {"max_request_bytes": MODEL_REQUEST_BYTES_MAX}},
        }
    }
}
"""The keeper is shown a model request whole; one that is larger is a 413."""


def script() -> str:
    """The filter that `meter()` names."""
    text = (resources.files("seawall.render") / SCRIPT_FILE).read_text("utf-8")
    names = {"reservation": headers.RESERVATION, "status": headers.STATUS, "source": headers.SOURCE}
    for key, value in names.items():
        text = text.replace(f"@{key}@", value)
    return text


def meter() -> dict[str, Any]:
    """Tells the keeper what an answer used, while it passes."""
    return envoy.typed(
        "envoy.filters.http.lua",
        "extensions.filters.http.lua.v3.Lua",
        default_source_code={"filename": f"/etc/envoy/{SCRIPT_FILE}"},
    )


def replies(agent: str) -> dict[str, Any]:
    """Envoy's own 413 and 504 as faults that runtime and people can read."""
    too_large = Fault(
        code="payload",
        reason=f"{agent} may send {MODEL_REQUEST_BYTES_MAX} bytes",
        remedy="Ask with less",
    )
    silent = Fault(code="silence", reason="the server was silent for too long", remedy="Try again")
    at_413, at_504 = _status(413), _status(504)
    # The keeper's own 504 (a run's deadline) has its reason already.
    silence = {"response_flag_filter": {"flags": ["SI"]}}
    at_504 = {"and_filter": {"filters": [at_504, silence]}}
    return {"mappers": [_reply(at_413, too_large), _reply(at_504, silent)]}


def _status(status: int) -> dict[str, Any]:
    value = {"default_value": status, "runtime_key": f"reply_{status}"}
    return {"status_code_filter": {"comparison": {"op": "EQ", "value": value}}}


def _reply(when: dict[str, Any], said: Fault) -> dict[str, Any]:
    return {"filter": when, "body_format_override": {"json_format": said.model_dump()}}
