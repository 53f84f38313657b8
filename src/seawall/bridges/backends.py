"""From a tool's profile to what runs behind its bridge."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import assert_never

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
) -> Backend:
    """The backend of a tool, not yet entered; `folder` is the spec's.

    `headers` go to a server by URL; `secrets` is the folder where a program finds its own.

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

            return UrlBackend(profile.tool, source.url, headers or {})
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


def _functions(profile: BridgeProfile, source: FunctionsTool, folder: Path) -> Backend:
    from .stdio import Launch, StdioBackend

    command = (
        *(sys.executable, "-m", "seawall.bridges.functions", source.path),
        *("--output-bytes-max", str(profile.output_bytes_max)),
    )
    return StdioBackend(Launch(f"tools/{profile.tool}", command, folder, ours=True))
