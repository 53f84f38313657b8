"""What happens round every step, in the order of `STEP_HOOKS`, outermost first."""

from __future__ import annotations

from .begin import begin
from .journal import journal
from .own_budget import own_budget
from .watched import watched

STEP_HOOKS = (
    journal,  # a finished step is never run again; a new one is recorded before another begins
    own_budget,  # the agent's own limits first: they cost no question to the keeper
    begin,  # room is held before spending, given back when the step fails; people see it begin
    watched,  # innermost: what the process is doing is the step itself, and until when
)

__all__ = ["STEP_HOOKS"]
