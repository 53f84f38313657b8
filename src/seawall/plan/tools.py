"""What a tool of the spec means: its bridge's profile and how its image comes about."""

from __future__ import annotations

from seawall.spec.base import RequirementKeys
from seawall.spec.sources import Sources, package_name
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

from .model import Recipe, Requirements, SourceFile


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


def recipe(tool: ToolKeys, sources: Sources) -> Recipe:
    """How the tool's image comes about."""
    match tool:
        case NpmSpec():
            return Recipe(kind="npm", what=tool.npm)
        case PypiSpec():
            return Recipe(kind="pypi", what=tool.pypi)
        case ImageSpec():
            return Recipe(kind="image", what=tool.image)
        case FunctionsSpec():
            return Recipe(kind="bridge", requirements=requirements(tool, sources))
    return Recipe(kind="bridge")


def requirements(keys: RequirementKeys, sources: Sources) -> Requirements | None:
    """The author's packages; None when there are none."""
    if keys.requirements is None:
        return None
    pins = sources.pins.get(keys.requirements, ())
    return Requirements(
        path=keys.requirements,
        digest=sources.digests.get(keys.requirements, ""),
        pins=tuple(sorted(f"{pin.name}=={pin.version}" for pin in pins)),
        hashed=not keys.allow_unhashed_requirements,
        text=sources.locked.get(keys.requirements, ""),
    )


def files(name: str, tool: ToolKeys, sources: Sources) -> tuple[SourceFile, ...]:
    """The author's code and documents that the tool is given."""
    if isinstance(tool, MemorySpec) and tool.memory.documents is not None:
        digest = sources.documents.get(name, "")
        return (SourceFile(path=tool.memory.documents, digest=digest),)
    if not isinstance(tool, FunctionsSpec):
        return ()
    paths = {tool.functions, *tool.files, *sources.beside.get(tool.functions, ())}
    return tuple(SourceFile(path=p, digest=sources.digests.get(p, "")) for p in sorted(paths))
