"""The process that serves a file of `@tool` functions over MCP on stdio.

Run as `python -m seawall.bridges.functions FILE`. What the functions print goes to stderr, their
faults come back in words without paths of this machine, and a file that cannot be loaded ends the
process with one line that says where.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib.util
import inspect
import os
import sys
import traceback
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from seawall.wire.tools import CallOutcome

from .mark import ATTRIBUTE, Mark
from .schema import Callee, Fault, describe
from .text import clip, cut

if TYPE_CHECKING:
    import mcp_types

THREADS_MAX = 64
EXIT_FAULT = 78  # EX_CONFIG of sysexits.h
MODULE = "seawall_tool_functions"


class LoadFault(Exception):  # noqa: N818
    """The functions file cannot be served; the text is `file:line: fault. remedy.`"""


def main() -> None:
    """Serve until stdin closes, then end at once: a hung thread must not hold the process."""
    parser = argparse.ArgumentParser(prog="seawall.bridges.functions")
    parser.add_argument("file")
    parser.add_argument("--output-bytes-max", type=int, default=64 * 1024)
    options = parser.parse_args()
    wire_in, wire_out = _claim_stdio()
    try:
        callees = load(options.file)
    except LoadFault as fault:
        print(f"seawall-fault: {fault}", file=sys.stderr, flush=True)
        os._exit(EXIT_FAULT)
    asyncio.run(_serve(callees, wire_in, wire_out, options.output_bytes_max))
    sys.stderr.flush()
    os._exit(0)


def _claim_stdio() -> tuple[int, int]:
    """Keep the protocol's pipes for us alone: stray prints, from C too, go to stderr."""
    wire_in, wire_out = os.dup(0), os.dup(1)
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    os.dup2(2, 1)
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    return wire_in, wire_out


def load(path: str) -> dict[str, Callee]:
    """The marked functions of a file, by name. Raises LoadFault."""
    module = _module(path)
    found: dict[str, Callee] = {}
    for value in vars(module).values():
        mark = getattr(value, ATTRIBUTE, None)
        if not isinstance(mark, Mark) or not callable(value):
            continue
        try:
            callee = describe(value, mark)
        except Fault as fault:
            line = inspect.unwrap(value).__code__.co_firstlineno
            raise LoadFault(f"{path}:{line}: {value.__name__}: {fault}.") from None
        found[callee.info.name] = callee
    if not found:
        raise LoadFault(f"{path}: no function is marked @tool. `from seawall import tool`.")
    return found


def _module(path: str) -> ModuleType:
    file = Path(path).resolve()
    if not file.is_file():
        raise LoadFault(f"{path}: there is no such file.")
    spec = importlib.util.spec_from_file_location(MODULE, file)
    if spec is None or spec.loader is None:
        raise LoadFault(f"{path}: not a Python file. Its name must end in .py.")
    module = importlib.util.module_from_spec(spec)
    sys.modules[MODULE] = module  # dataclasses and type hints look their module up here
    sys.path.insert(0, str(file.parent))
    try:
        spec.loader.exec_module(module)
    except SyntaxError as error:
        shown = path if Path(error.filename or "") == file else Path(error.filename or path).name
        raise LoadFault(f"{shown}:{error.lineno}: SyntaxError: {error.msg}.") from None
    except BaseException as error:  # noqa: BLE001 - SystemExit too: the file must not end us
        words = f"{type(error).__name__}: {clip(str(error), 300)}"
        raise LoadFault(f"{path}:{_line(error, file)}: {words}.") from None
    return module


def _line(error: BaseException, file: Path) -> int:
    """The last line of the user's file on the way to the error."""
    frames = traceback.extract_tb(error.__traceback__)
    lines = [f.lineno for f in frames if f.lineno and Path(f.filename) == file]
    return lines[-1] if lines else 1


async def _serve(
    callees: Mapping[str, Callee], wire_in: int, wire_out: int, output_bytes_max: int
) -> None:
    import anyio
    import mcp_types
    from mcp.server.lowlevel import Server
    from mcp.server.stdio import stdio_server

    from .meta import to_tool

    threads = ThreadPoolExecutor(THREADS_MAX, thread_name_prefix="tool")
    asyncio.get_running_loop().set_default_executor(threads)

    async def listed(*_: Any) -> mcp_types.ListToolsResult:
        return mcp_types.ListToolsResult(tools=[to_tool(c.info) for c in callees.values()])

    async def called(_: Any, asked: mcp_types.CallToolRequestParams) -> mcp_types.CallToolResult:
        callee = callees.get(asked.name)
        if callee is None:
            known = ", ".join(callees)
            return _result(CallOutcome(text=f"no function {asked.name!r}: {known}", is_error=True))
        outcome = await call(callee, asked.arguments or {})
        return _result(_within(outcome, output_bytes_max))

    server: Server[Any] = Server("functions", on_list_tools=listed, on_call_tool=called)
    source = anyio.wrap_file(os.fdopen(wire_in, "r", encoding="utf-8", errors="replace"))
    target = anyio.wrap_file(os.fdopen(wire_out, "w", encoding="utf-8"))
    async with stdio_server(source, target) as (read, write):
        await server.run(read, write, server.create_initialization_options())


async def call(callee: Callee, given: dict[str, Any]) -> CallOutcome:
    """Call a function with JSON arguments; what it raises becomes words."""
    from .result import to_outcome

    try:
        args, named = callee.arguments(given)
    except ValueError as error:
        return CallOutcome(text=str(error), is_error=True)
    try:
        if inspect.iscoroutinefunction(callee.function):
            value = await callee.function(*args, **named)
        else:
            value = await asyncio.to_thread(callee.function, *args, **named)
            if inspect.isawaitable(value):
                value = await value
    except asyncio.CancelledError:
        raise
    except BaseException as error:  # noqa: BLE001 - the user's function may raise anything
        traceback.print_exception(error)  # to stderr: for the author, never for the model
        return CallOutcome(text=_raised(error), is_error=True)
    return to_outcome(value)


def _raised(error: BaseException) -> str:
    """Type and message, with the paths of this machine cut to file names."""
    message = str(error)
    for folder in {str(Path.cwd()), str(Path.home()), sys.prefix, sys.base_prefix}:
        if len(folder) > 1:
            message = message.replace(folder + os.sep, "")
    kind = type(error).__name__
    return cut(f"{kind}: {message}" if message else kind, 4096)


def _within(outcome: CallOutcome, bytes_max: int) -> CallOutcome:
    text = cut(outcome.text, bytes_max)
    if text == outcome.text:
        return outcome
    return CallOutcome(text=text, is_error=outcome.is_error)


def _result(outcome: CallOutcome) -> mcp_types.CallToolResult:
    import mcp_types

    return mcp_types.CallToolResult(
        content=[mcp_types.TextContent(text=outcome.text)],
        structured_content=outcome.structured,
        is_error=outcome.is_error,
    )


if __name__ == "__main__":
    main()
