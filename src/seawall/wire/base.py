"""The base of every message: frozen, and closed to unknown keys."""

from typing import Literal

from pydantic import BaseModel, ConfigDict

RetryRule = Literal["safe", "idempotent", "never", "ask"]
"""What to do when the outcome of a tool call is unknown."""


class Message(BaseModel):
    """A frozen value that crosses a process boundary; unknown keys are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")
