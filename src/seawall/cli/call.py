"""`seawall call TOOL FUNCTION JSON`: one function of a tool, without a model or a mesh.

The tool is opened through its bridge and spoken to over MCP, as an agent would.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seawall.errors import OperatorError

if TYPE_CHECKING:
    from seawall.engine.tool_secrets import Given
    from seawall.plan.model import Plan
    from seawall.wire.profiles import BridgeProfile
    from seawall.wire.tools import Backend, CallOutcome

PERSON = "seawall-call"
"""Who calls unless `--as` names an agent; no agent can have this name's grants."""
URL = "http://tool/mcp"


def configure(parser: argparse.ArgumentParser) -> None:
    """Describe the command line."""
    parser.add_argument("tool", help="a tool of the mesh")
    parser.add_argument("function", nargs="?", help="its function; left out: list them")
    parser.add_argument("arguments", nargs="?", default="{}", help='as JSON: \'{"query": "x"}\'')
    parser.add_argument("-f", "--file", type=Path, default=Path("seawall.yaml"), help="the spec")
    parser.add_argument("--env", help="lay seawall.ENV.yaml over the spec")
    parser.add_argument("--as", dest="agent", metavar="AGENT", help="with this agent's grants")
    parser.add_argument("--json", action="store_true", help="print the outcome as JSON")


def run(args: argparse.Namespace) -> int:
    """Call, print the result, return 1 when the tool says it failed."""
    from seawall.engine.extra import require_embedded_engine
    from seawall.engine.tool_secrets import given_to

    given = _arguments(args.arguments)
    plan, profile = _profile(args)
    require_embedded_engine("call")
    folder = args.file.parent
    with given_to(plan, profile, folder) as secrets:
        called = _call(profile, folder, secrets, args.function, given, args.agent)
        outcome = asyncio.run(called)
    if args.json:
        print(outcome.model_dump_json())
    elif outcome.is_error:
        print(f"{args.tool}: {outcome.text}", file=sys.stderr)
    else:
        print(outcome.text)
    return int(outcome.is_error)


def _arguments(text: str) -> dict[str, Any]:
    try:
        given = json.loads(text)
    except ValueError as error:
        fault = f"the arguments are not JSON: {error}"
        raise OperatorError("call", fault, 'Write them like {"query": "x"}') from None
    if not isinstance(given, dict):
        raise OperatorError("call", "the arguments must be a JSON object", 'Like {"query": "x"}')
    return given


def _profile(args: argparse.Namespace) -> tuple[Plan, BridgeProfile]:
    from seawall.plan.compile import compile_plan
    from seawall.spec.load import load
    from seawall.spec.sources import read

    spec = load(args.file, args.env)
    plan = compile_plan(spec, read(spec))
    bridges = {profile.tool: profile for profile in plan.bridges()}
    profile = bridges.get(args.tool)
    if profile is None:
        known = ", ".join(sorted(bridges)) or "none"
        raise OperatorError(str(args.file), f"no tool {args.tool!r}", f"There are: {known}")
    if args.agent is not None and args.agent not in spec.agents:
        known = ", ".join(sorted(spec.agents))
        raise OperatorError(str(args.file), f"no agent {args.agent!r}", f"There are: {known}")
    if args.agent is None:
        profile = profile.model_copy(update={"grants": {PERSON: ("*",)}})
    return plan, profile


async def _call(
    profile: BridgeProfile,
    folder: Path,
    secrets: Given,
    function: str | None,
    given: dict[str, Any],
    agent: str | None,
) -> CallOutcome:
    import httpx

    from seawall.bridges.backends import open_backend
    from seawall.bridges.bridge import Bridge
    from seawall.runtime.tool_client import ToolClient
    from seawall.wire import headers

    backend = open_backend(
        profile,
        folder=folder,
        memory=await _memory(profile, folder),
        headers=secrets.headers,
        secrets=secrets.folder,
    )
    who = {headers.AGENT: agent or PERSON, headers.TASK: f"call-{os.getpid()}"}
    async with (
        Bridge(profile, backend) as bridge,
        httpx.AsyncClient(transport=httpx.ASGITransport(bridge.app)) as http,
    ):
        client = ToolClient(http, URL)
        if function is None:
            return _listed(await client.list(who))
        return await client.call(function, given, who, profile.timeout_seconds)


def _listed(functions: list[Any]) -> CallOutcome:
    from seawall.wire.tools import CallOutcome

    lines = []
    for info in functions:
        names = ", ".join(info.input_schema.get("properties", {}))
        first = info.description.strip().partition("\n")[0]
        lines.append(f"{info.name}({names})  {first}".rstrip())
    known = {"functions": [info.model_dump() for info in functions]}
    return CallOutcome(text="\n".join(lines) or "(no functions)", structured=known)


async def _memory(profile: BridgeProfile, folder: Path) -> Backend | None:
    from seawall.wire.profiles import MemoryTool

    if not isinstance(profile.source, MemoryTool):
        return None
    from seawall.engine.dev_memory import open_memory

    def tell(line: str) -> None:
        print(line, file=sys.stderr)

    return await open_memory(folder, profile.source, None, tell)
