"""Builds a task as a replica holds it, for tests that need no keeper."""

from seawall.runtime.steps import Task
from seawall.wire.messages import Lease, Step, Usage
from seawall.wire.profiles import AgentProfile, Budget, ModelProfile, TaskBudget


def task(*journal: Step, budget: TaskBudget | None = None) -> Task:
    """A task whose earlier attempts left this journal."""
    lease = Lease(
        token="t",
        run="r",
        task="t1",
        agent="a",
        attempt=1,
        seconds=15,
        input="",
        depth=0,
        ancestry=(),
        deadline=None,
        budget=Budget(),
        used=Usage(),
        journal=journal,
    )
    profile = AgentProfile(
        name="a", model=ModelProfile(ref="anthropic:x"), budget=budget or TaskBudget()
    )
    return Task(lease=lease, profile=profile, keeper=None)  # type: ignore[arg-type]
