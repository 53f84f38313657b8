"""What journal, budget and events add to a step: Seawall's loop against bare pydantic-ai."""

import asyncio
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

STEPS = 60
ROUNDS = 5


def function_model() -> Any:
    """A model that calls `work` STEPS times, then answers."""
    from pydantic_ai.messages import ModelResponse, TextPart, ToolCallPart, ToolReturnPart
    from pydantic_ai.models.function import FunctionModel

    def respond(messages: list[Any], _info: Any) -> ModelResponse:
        done = sum(isinstance(p, ToolReturnPart) for m in messages for p in m.parts)
        if done < STEPS:
            call = ToolCallPart("work", {"number": done}, tool_call_id=f"call-{done}")
            return ModelResponse(parts=[call])
        return ModelResponse(parts=[TextPart("done")])

    return FunctionModel(respond)


async def bare() -> float:
    """Seconds for one run of bare pydantic-ai."""
    from pydantic_ai import Agent, FunctionToolset, UsageLimits

    async def work(number: int) -> str:
        return f"did {number}"

    agent = Agent(function_model(), toolsets=[FunctionToolset([work], id="tools")])
    began = time.perf_counter()
    await agent.run("go", usage_limits=UsageLimits(request_limit=None))
    return time.perf_counter() - began


async def through_the_keeper(keeper: Any, start: Any, profile: Any) -> float:
    """Seconds for one task of the same loop, every step journaled by the keeper."""
    from pydantic_ai import Agent, FunctionToolset

    from seawall.runtime.durability import KeeperDurability
    from seawall.runtime.loop import answer
    from seawall.runtime.steps import Task
    from seawall.wire.messages import Finish, StartRun, Take

    async def work(number: int) -> str:
        return f"did {number}"

    agent = Agent(
        function_model(),
        name="a",
        toolsets=[FunctionToolset([work], id="tools")],
        capabilities=[KeeperDurability()],
    )
    await start(StartRun(input="go"))
    lease = await keeper.take(Take(replica="a-1"))
    began = time.perf_counter()
    output = await answer(agent, Task(lease=lease, profile=profile, keeper=keeper))
    took = time.perf_counter() - began
    await keeper.finish(lease.token, Finish(output=output))
    return took


async def measure() -> None:
    """Alternate both loops and print medians a step."""
    from seawall.engine.broker import open_broker
    from seawall.engine.dev import in_process
    from seawall.engine.dev_gateway import DevGateway
    from seawall.engine.door_client import DoorClient
    from seawall.keeper.app import agents_app
    from seawall.keeper.door import door_app
    from seawall.keeper.store import Store
    from seawall.runtime.keeper_client import KeeperClient
    from seawall.wire.profiles import AgentProfile, KeeperPolicy, ModelProfile

    policy = KeeperPolicy(mesh="bench", main="a", delegates={"a": ()})
    profile = AgentProfile(name="a", model=ModelProfile(ref="bench:none"), turns_max=1000)
    with tempfile.TemporaryDirectory() as folder:
        async with (
            open_broker(None, Path(folder)) as url,
            await Store.connect(url, policy) as store,
        ):
            gateway = DevGateway("a", agents_app(store), {})
            keeper = KeeperClient(in_process(gateway, "http://gateway/keeper"))
            start = DoorClient(in_process(door_app(store))).start
            await bare()
            await through_the_keeper(keeper, start, profile)
            plain, ours = [], []
            for _ in range(ROUNDS):
                plain.append(await bare())
                ours.append(await through_the_keeper(keeper, start, profile))
    steps = 2 * STEPS + 1
    base, full = (statistics.median(times) / steps * 1000 for times in (plain, ours))
    print(f"bare pydantic-ai                    {base:6.2f} ms a step")
    print(f"journal, budget and events added    {full:6.2f} ms a step   {full / base:4.1f} x")
    print(f"added                               {full - base:6.2f} ms a step   (goal: 3)")


def main() -> None:
    """Run the comparison."""
    asyncio.run(measure())
