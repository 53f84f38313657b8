"""The base of every message: frozen, and closed to unknown keys."""

from pydantic import BaseModel, ConfigDict


class Message(BaseModel):
    """A frozen value that crosses a process boundary; unknown keys are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")
