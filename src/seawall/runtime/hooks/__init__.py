"""What happens round every step, in the order of `STEP_HOOKS`, outermost first."""

from __future__ import annotations

from .budget import budget
from .journal import journal
from .own_budget import own_budget
from .trace import trace

STEP_HOOKS = (
    journal,  # a finished step is never run again; a new one is recorded before anything follows
    own_budget,  # the agent's own limits first: they cost no question to the keeper
    budget,  # room is reserved before spending, given back when the step fails
    trace,  # people see it begin, and until when it may take
)

__all__ = ["STEP_HOOKS"]
