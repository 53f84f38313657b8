"""Notes the step as what goes on: the sign of life names it, and the watchdog times it."""

from __future__ import annotations

from ..steps import Proceed, StepCall, Task

WORDS = {"model": "model call", "tool": "tool call", "delegate": "waiting for", "note": "note"}


async def watched(task: Task, call: StepCall, proceed: Proceed) -> object:
    """Run the step as what the process does now."""
    with task.progress.doing(f"{WORDS[call.kind]} {call.name}", call.seconds_max):
        return await proceed()
