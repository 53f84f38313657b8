"""The functions an agent may call, as pydantic-ai toolsets: granted tools, and one per delegate.

Everything goes through the gateway; a failure comes back as words the model can act on.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

from pydantic_ai import FunctionToolset, Tool
from pydantic_ai.exceptions import ToolFailed

from seawall.errors import OperatorError, Refused
from seawall.wire.messages import Delegation, TaskResult
from seawall.wire.profiles import AgentProfile, Delegate, ToolGrant
from seawall.wire.tools import FunctionInfo

from .durability import SECONDS_MAX
from .steps import STEP, Task, as_limit, current, said
from .tool_client import GRACE_SECONDS, ToolClient

RESULT_WAIT_SECONDS = 20.0
"""How long one question for a child's result waits at the keeper before it is asked again."""

Granted = list[tuple[ToolGrant, ToolClient, FunctionInfo]]


def delegates(profile: AgentProfile) -> FunctionToolset[Any]:
    """One function for each agent that this one may delegate to."""
    return FunctionToolset([_delegate(d) for d in profile.delegates], id="delegates")


def _delegate(delegate: Delegate) -> Tool[Any]:
    async def run(task: str) -> str:
        here = current()
        order = Delegation(key=STEP.get(), agent=delegate.agent, input=task)
        try:
            child = await here.keeper.delegate(here.lease.token, order)
        except Refused as refused:
            raise _told(refused) from None
        return _answer(await _wait(here, child.task))

    schema = {
        "type": "object",
        "properties": {"task": {"type": "string", "description": "What to do, whole in itself."}},
        "required": ["task"],
        "additionalProperties": False,
    }
    text = f"Delegate a piece of work to the agent {delegate.agent}. {delegate.description}".strip()
    name = f"delegate_{delegate.agent}"
    return Tool.from_schema(run, name, text, schema)


async def _wait(task: Task, child: str) -> TaskResult:
    while True:
        result = await task.keeper.result(task.lease.token, child, RESULT_WAIT_SECONDS)
        if result.state not in ("queued", "running"):
            return result


def _answer(result: TaskResult) -> str:
    if result.state == "done":
        return result.output or ""
    failure = result.failure
    reason = f"{failure.kind}: {failure.reason}" if failure else result.state
    raise ToolFailed(f"{result.agent} did not answer ({reason}).")


def _told(refused: Refused) -> Exception:
    """Refusals that concern this call go to the model; those that end the task are raised."""
    if refused.code in ("edge", "depth", "cycle", "fan_out", "queue_full", "payload"):
        return ToolFailed(f"Refused: {refused.fault}. {refused.remedy}".strip())
    return as_limit(refused)


def tools(granted: Granted) -> FunctionToolset[Any]:
    """The granted functions; a name that two tools share becomes `tool_function`."""
    seen = Counter(info.name for _, _, info in granted)
    made = []
    for grant, client, info in granted:
        name = info.name if seen[info.name] == 1 else f"{grant.tool}_{info.name}"
        made.append(_tool(name, grant, client, info))
    return FunctionToolset(made, id="tools")


def _tool(name: str, grant: ToolGrant, client: ToolClient, info: FunctionInfo) -> Tool[Any]:
    timeout = info.timeout_seconds or grant.timeout_seconds

    async def run(**arguments: Any) -> str:
        try:
            outcome = await client.call(info.name, arguments, said(), timeout)
        except (OperatorError, Refused) as error:
            raise ToolFailed(str(error)) from None
        if outcome.is_error:
            raise ToolFailed(outcome.text)
        return outcome.text

    tool: Tool[Any] = Tool.from_schema(run, name, info.description, info.input_schema)
    tool.metadata = {SECONDS_MAX: timeout + GRACE_SECONDS}
    return tool
