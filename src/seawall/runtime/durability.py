"""pydantic-ai's durable-step interface, with the keeper's journal behind it.

Every model response and every tool call of an agent passes through `StepBackend.execute`.
Source: `pydantic_ai.durable_exec` of pydantic-ai-slim 2.68 (pinned exactly).
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any

from pydantic_ai.agent.abstract import AbstractAgent
from pydantic_ai.durable_exec import (
    JSON_CODEC,
    BaseDurabilityCapability,
    DurabilityEngineSpec,
    DurableOperationBackend,
    EventStreamHandlerId,
    JournalCallableOperationBackend,
    ModelRequestId,
    RoleBasedOperationConfig,
    ToolsetCallToolId,
    conversation_id_from_run_id,
)

from seawall.models.retries import RETRY_AFTER_SECONDS_MAX
from seawall.wire.messages import Usage
from seawall.wire.profiles import ModelProfile

from .hooks import STEP_HOOKS
from .steps import CURRENT, STEP, StepCall, Task, wrap

SECONDS_MAX = "seawall_seconds_max"
"""Key in a tool's metadata: how long one call of it may take before its client gives it up."""
TOKENS_PER_SECOND_MIN = 5
"""Slower than any model worth waiting for, so that a long answer is not taken for a stall."""


class StepBackend(JournalCallableOperationBackend[dict[str, Any]]):
    """Runs each durable operation as one step inside `STEP_HOOKS`."""

    async def execute(
        self,
        *,
        operation_id: object,
        name: str,  # noqa: ARG002 - the interface's; a step has a name of its own
        body: Callable[[], Awaitable[object]],
        cache_key: tuple[object, ...],
        config: dict[str, Any],  # noqa: ARG002 - the interface's
    ) -> object:
        """Run `body` as a journaled step; operations without effects run as they are."""
        task = CURRENT.get()
        if task is None or isinstance(operation_id, EventStreamHandlerId):
            return await body()
        if isinstance(operation_id, ToolsetCallToolId):
            call = tool_call(task, cache_key)
        elif isinstance(operation_id, ModelRequestId):
            call = model_call(task, cache_key)
        else:
            return await body()
        STEP.set(call.key)
        return await wrap(STEP_HOOKS, task, call, body)()


def tool_call(task: Task, cache_key: tuple[Any, ...]) -> StepCall:
    """The step of one tool call; `cache_key` is (function, arguments, run context, tool)."""
    function, arguments, context, tool = cache_key[:4]
    delegated = function.startswith("delegate_")
    return StepCall(
        key=task.call_key(context.tool_call_id),
        kind="delegate" if delegated else "tool",
        name=function,
        detail=json.dumps(arguments, ensure_ascii=False, default=str),
        reserve=measure_tool(None),
        measure=measure_tool,
        # None for a delegate: its task ends with the run.
        seconds_max=(tool.tool_def.metadata or {}).get(SECONDS_MAX),
    )


def measure_tool(_result: object) -> Usage:
    """A tool call uses one of the run's tool calls."""
    return Usage(tool_calls=1)


def model_call(task: Task, cache_key: tuple[Any, ...]) -> StepCall:
    """The step of one model response; `cache_key` is (model id, messages, settings, …)."""
    model = task.profile.model
    return StepCall(
        key=task.next_key("model"),
        kind="model",
        name=model.ref,
        reserve=task.meter.estimate(cache_key[1]),
        measure=task.meter.measure,
        seconds_max=seconds_max(model),
    )


def seconds_max(model: ModelProfile) -> float:
    """How long a response may take, with every retry and every fallback at its slowest.

    `timeout_seconds` is the longest silence, not the longest response: that has its own time.
    """
    once = model.timeout_seconds + model.output_tokens_max / TOKENS_PER_SECOND_MIN
    tries = (model.retries_max + 1) * (once + RETRY_AFTER_SECONDS_MAX)
    return tries + sum(map(seconds_max, model.fallbacks))


class KeeperDurability(BaseDurabilityCapability[Any]):
    """Makes an agent's steps durable in the keeper's journal."""

    engine_spec = DurabilityEngineSpec(
        engine_name="Seawall",
        durable_unit_noun="step",
        durable_container_noun="task",
        codec=JSON_CODEC,
        journal_discovery=False,
    )

    def _bind_to_agent(self, agent: AbstractAgent[Any, Any]) -> None:
        role: dict[str, Any] = {}
        config = RoleBasedOperationConfig(model=role, event=role, capability=role, tool=role)
        self._backend = StepBackend(agent_name=self.name, config=config)
        self._register_toolsets(agent)

    @property
    def in_durable_context(self) -> bool:
        """Whether a task is being worked on."""
        return CURRENT.get() is not None

    def get_durable_operation_backend(self) -> DurableOperationBackend[Any]:
        """The backend that pydantic-ai hands its operations to."""
        return self._backend

    def get_default_run_id(self) -> str | None:
        """The task's id, the same on every attempt."""
        task = CURRENT.get()
        return task.lease.task if task else None

    def get_default_conversation_id(self, run_id: str) -> str:
        """Derived from the task's id, so that a replay has the same one."""
        return conversation_id_from_run_id(run_id)
