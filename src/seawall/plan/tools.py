"""What a tool of the spec means: its bridge's profile and how its image comes about."""

from __future__ import annotations

from seawall.spec.model import Spec
from seawall.spec.sources import package_name
from seawall.spec.tools import (
    CommandSpec,
    FunctionsSpec,
    ImageSpec,
    MemorySpec,
    NpmSpec,
    PypiSpec,
    SandboxSpec,
    ToolKeys,
    UrlSpec,
)
from seawall.wire.profiles import (
    BridgeProfile,
    CommandTool,
    FunctionsTool,
    MemoryTool,
    SandboxTool,
    ToolSource,
    UrlTool,
)

from .model import Recipe


def bridge(name: str, tool: ToolKeys, grants: dict[str, tuple[str, ...]]) -> BridgeProfile | None:
    """What the bridge beside the tool must know; None for an image, whose server is its own."""
    source = _source(tool)
    if source is None:
        return None
    return BridgeProfile(
        tool=name,
        source=source,
        grants=grants,
        timeout_seconds=tool.timeout,
        output_bytes_max=tool.output,
    )


def _source(tool: ToolKeys) -> ToolSource | None:
    match tool:
        case FunctionsSpec():
            return FunctionsTool(path=tool.functions)
        case CommandSpec():
            return CommandTool(command=tool.command, env=dict(sorted(tool.env.items())))
        case UrlSpec():
            return UrlTool(url=tool.url)
        case SandboxSpec():
            return SandboxTool(
                language=tool.sandbox,
                memory_bytes_max=tool.limits.memory,
                run_seconds_max=tool.timeout,
            )
        case MemorySpec():
            keys = tool.memory
            everyone = ("*",)
            return MemoryTool(
                readers=everyone if keys.readers is None else tuple(sorted(keys.readers)),
                writers=everyone if keys.writers is None else tuple(sorted(keys.writers)),
                documents=keys.documents,
                only=tuple(sorted(keys.only)),
            )
        case NpmSpec() | PypiSpec():
            package = tool.npm if isinstance(tool, NpmSpec) else tool.pypi
            command = (tool.program or package_name(package), *tool.args)
            return CommandTool(command=command, env=dict(sorted(tool.env.items())))
    return None


def recipe(spec: Spec, tool: ToolKeys) -> tuple[Recipe, list[str]]:
    """How the tool's image comes about, and the author's files in it."""
    base = spec.images.get("bridge")
    match tool:
        case NpmSpec():
            return Recipe(kind="npm", what=tool.npm, base=base), []
        case PypiSpec():
            return Recipe(kind="pypi", what=tool.pypi, base=base), []
        case ImageSpec():
            return Recipe(kind="image", what=tool.image), []
        case FunctionsSpec():
            return Recipe(kind="bridge", base=base), [tool.functions]
    return Recipe(kind="bridge", base=base), []
