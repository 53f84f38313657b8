"""From a tool's profile to what runs behind its bridge."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import assert_never
from urllib.parse import urlsplit

from seawall.errors import OperatorError
from seawall.wire import places
from seawall.wire.profiles import (
    BridgeProfile,
    CommandTool,
    FunctionsTool,
    MemoryTool,
    SandboxTool,
    UrlTool,
)
from seawall.wire.tools import Backend


def open_backend(
    profile: BridgeProfile,
    *,
    folder: Path,
    memory: Backend | None = None,
    headers: Mapping[str, str] | None = None,
    secrets: Path | None = None,
    through_gateway: bool = False,
) -> Backend:
    """The backend of a tool, not yet entered; `folder` is the spec's.

    `headers` go to a server by URL; `secrets` is the folder where a program finds its own. With
    `through_gateway` the tool's gateway speaks to such a server, and adds TLS and the credential.

    Raises OperatorError for what this machine cannot run.
    """
    source = profile.source
    place = f"tools/{profile.tool}"
    match source:
        case FunctionsTool():
            return _functions(profile, source, folder)
        case CommandTool():
            from .stdio import Launch, StdioBackend

            told = {places.SECRETS_VARIABLE: str(secrets)} if secrets else {}
            return StdioBackend(Launch(place, source.command, folder, source.env | told))
        case UrlTool():
            from .http import UrlBackend

            asked = _by_gateway(source.url) if through_gateway else source.url
            return UrlBackend(profile.tool, source.url, headers or {}, asked=asked)
        case SandboxTool():
            if source.language != "python":
                fault = f"a {source.language} sandbox needs a container engine"
                raise OperatorError(place, fault, "Use `sandbox: python` with `seawall dev`")
            from .sandbox import SandboxBackend

            return SandboxBackend(source, profile.output_bytes_max)
        case MemoryTool():
            if memory is None:
                raise OperatorError(place, "no memory service was given to this bridge")
            return memory
    assert_never(source)


def _by_gateway(url: str) -> str:
    """What a gateway is asked for in place of a URL: it is plain on the way to it alone."""
    parts = urlsplit(url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    return f"http://{parts.hostname}:{port}{parts.path or '/'}"


def _functions(profile: BridgeProfile, source: FunctionsTool, folder: Path) -> Backend:
    from .stdio import Launch, StdioBackend

    command = (
        *(sys.executable, "-m", "seawall.bridges.functions", source.path),
        *("--output-bytes-max", str(profile.output_bytes_max)),
    )
    return StdioBackend(Launch(f"tools/{profile.tool}", command, folder, ours=True))
