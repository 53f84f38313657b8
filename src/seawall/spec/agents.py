"""Agents as the author writes them: declared in the file, or the author's own code or image."""

from typing import Annotated, Any

from pydantic import Discriminator, Field, Tag, field_validator

from .base import RequirementKeys, SpecModel, WorkloadKeys
from .units import Name, Text, fault


class AgentBudget(SpecModel):
    """What one task of an agent may spend itself, its delegates not counted."""

    usd: float | None = Field(None, gt=0, description="US dollars; no limit by default.")
    tokens: int | None = Field(None, gt=0, description="Input and output tokens together.")
    turns: int = Field(50, gt=0, le=10_000, description="Model responses; 50 by default.")


class AgentKeys(WorkloadKeys):
    """Keys that every agent has."""

    instructions: str = Field("", description="The system prompt, or a path ending in .md or .txt.")
    model: Text | None = Field(
        None, description="A name from `models` or provider:name; `defaults.model` by default."
    )
    tools: tuple[Text, ...] = Field((), description="Granted: tool, tool/function, tool/pattern_*.")
    delegates: tuple[Name, ...] = Field((), description="Agents it may hand work to.")
    budget: AgentBudget = Field(
        AgentBudget.model_construct(), description="What one of its tasks may spend."
    )

    @property
    def instructions_file(self) -> str | None:
        """The path of the instructions, or None when they are inline."""
        text = self.instructions
        return text if "\n" not in text and text.endswith((".md", ".txt")) else None


class DeclaredAgent(AgentKeys):
    """An agent that is instructions, a model and tools."""


class EntryAgent(RequirementKeys, AgentKeys):
    """An agent that is Python code of the author's, run in Seawall's runtime image."""

    entry: str = Field(description="The code, as package.module:name.")

    @field_validator("entry")
    @classmethod
    def _entry(cls, value: str) -> str:
        module, colon, name = value.partition(":")
        if not (colon and name.isidentifier() and all(p.isidentifier() for p in module.split("."))):
            raise fault("must be module:name", "Write package.module:name")
        return value


class BuildAgent(AgentKeys):
    """An agent built from a folder with a Dockerfile."""

    build: Text = Field(description="The folder.")


class ImageAgent(AgentKeys):
    """An agent that is an image."""

    image: Text = Field(description="The image's reference, best with its digest.")


AGENT_KINDS: dict[str, type[AgentKeys]] = {
    "entry": EntryAgent, "build": BuildAgent, "image": ImageAgent, "declared": DeclaredAgent,
}  # fmt: skip
"""Kind of agent by the key that chooses it; `declared` when there is none."""
CODE_KEYS = ("entry", "build", "image")


def _kind(given: Any) -> str | None:
    if not isinstance(given, dict):
        return next((k for k, model in AGENT_KINDS.items() if type(given) is model), "declared")
    found = [key for key in CODE_KEYS if key in given]
    return None if len(found) > 1 else found[0] if found else "declared"


Agent = Annotated[
    Annotated[EntryAgent, Tag("entry")]
    | Annotated[BuildAgent, Tag("build")]
    | Annotated[ImageAgent, Tag("image")]
    | Annotated[DeclaredAgent, Tag("declared")],
    Discriminator(_kind),
]
