"""Tools as the author writes them: one kind for each way to get an MCP server."""

from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag

from seawall.wire.base import RetryRule

from .base import HeaderAuth, RequirementKeys, SpecModel, WorkloadKeys, only_key
from .units import Bytes, Name, Seconds, SecretName, Text, Url


class ToolKeys(WorkloadKeys):
    """Keys that every tool has."""

    timeout: Seconds = Field(60.0, description="How long a call may take; 60s by default.")
    retry: RetryRule = Field(
        "never", description="What to do when a call's outcome is unknown; never by default."
    )
    output: Bytes = Field(
        64 * 1024, description="A longer result is cut, and the model told so; 64KiB by default."
    )


class ProgramKeys(ToolKeys):
    """Keys of tools that are programs of other people's."""

    env: dict[Text, str] = Field({}, description="Environment variables; plain values only.")
    secrets: tuple[SecretName, ...] = Field(
        (), description="Secrets the tool reads as files; prefer `egress` with `auth`."
    )


class FunctionsSpec(RequirementKeys, ToolKeys):
    """Python functions marked `@tool`."""

    functions: Text = Field(
        description="The Python file; what it imports from beside itself comes along."
    )
    files: tuple[Text, ...] = Field((), description="Other files and folders that it reads.")


class CommandSpec(ProgramKeys):
    """An MCP server that is started by a command and speaks standard input and output."""

    command: tuple[Text, ...] = Field(min_length=1, description="The program and its arguments.")


class NpmSpec(ProgramKeys):
    """An MCP server from npm."""

    npm: Text = Field(description="The package, with its version: name@1.2.3.")
    program: Text | None = Field(None, description="The program; the package's name by default.")
    args: tuple[Text, ...] = Field((), description="Arguments of the program.")


class PypiSpec(ProgramKeys):
    """An MCP server from PyPI."""

    pypi: Text = Field(description="The package, with its version: name==1.2.3.")
    program: Text | None = Field(None, description="The program; the package's name by default.")
    args: tuple[Text, ...] = Field((), description="Arguments of the program.")


class ImageSpec(ProgramKeys):
    """An MCP server that is an image."""

    image: Text = Field(description="The image's reference, best with its digest.")
    args: tuple[Text, ...] = Field((), description="Arguments; the image's own by default.")


class UrlSpec(ToolKeys):
    """An MCP server that runs already."""

    url: Url = Field(description="Its streamable HTTP endpoint.")
    auth: HeaderAuth | None = Field(None, description="A secret that the gateway adds.")
    allow_plain_http: bool = Field(
        False, description="Speak HTTP without TLS to it: what is sent can be read."
    )
    allow_private_addresses: bool = Field(
        False, description="Let its name stand for a private address, your own network's say."
    )


class SandboxSpec(ToolKeys):
    """A place for untrusted code: no network, one session, then replaced."""

    sandbox: Literal["python", "shell"] = Field(description="What runs in it.")


class MemoryKeys(SpecModel):
    """The vector store's settings."""

    documents: Text | None = Field(None, description="A folder that is indexed at the start.")
    only: tuple[Text, ...] = Field(
        (), description="Files and folders in `documents` to index; all of them by default."
    )
    readers: tuple[Name, ...] | None = Field(
        None, description="Agents that may recall; all that were granted it by default."
    )
    writers: tuple[Name, ...] | None = Field(
        None,
        description="Agents that may remember and forget; all that were granted it by default.",
    )


class MemorySpec(ToolKeys):
    """The vector store behind a service that knows who asks."""

    memory: MemoryKeys = Field(description="Its settings; {} for the defaults.")


TOOL_KINDS: dict[str, type[ToolKeys]] = {
    "functions": FunctionsSpec, "command": CommandSpec, "npm": NpmSpec, "pypi": PypiSpec,
    "image": ImageSpec, "url": UrlSpec, "sandbox": SandboxSpec, "memory": MemorySpec,
}  # fmt: skip
"""Kind of tool by the one key that chooses it."""

MEMORY_FUNCTIONS = ("remember", "recall", "forget", "list")
MEMORY_WRITES = ("remember", "forget")


def _kind(given: Any) -> str | None:
    return only_key(given, TOOL_KINDS)


Tool = Annotated[
    Annotated[FunctionsSpec, Tag("functions")]
    | Annotated[CommandSpec, Tag("command")]
    | Annotated[NpmSpec, Tag("npm")]
    | Annotated[PypiSpec, Tag("pypi")]
    | Annotated[ImageSpec, Tag("image")]
    | Annotated[UrlSpec, Tag("url")]
    | Annotated[SandboxSpec, Tag("sandbox")]
    | Annotated[MemorySpec, Tag("memory")],
    Discriminator(_kind),
]
