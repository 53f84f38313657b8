"""Takes tasks for one replica of an agent, one at a time, and reports how they ended."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import AsyncExitStack
from functools import partial
from typing import Any

from seawall.errors import LimitReached, OperatorError, Refused
from seawall.wire import headers
from seawall.wire.messages import Failure, Finish, Lease, Take
from seawall.wire.profiles import AgentProfile

from .keeper_client import KeeperClient
from .loop import ModelFactory, answer, build
from .renewer import KeeperFactory, Renewer
from .steps import Task
from .tool_client import ToolClient
from .toolsets import Granted

log = logging.getLogger(__name__)

KEEPER_RETRY_SECONDS = 0.5
TAKE_WAIT_SECONDS = 20.0


class Worker:
    """One replica. `run()` never returns; cancel it to stop."""

    def __init__(
        self,
        profile: AgentProfile,
        replica: str,
        keeper: KeeperFactory,
        tool_client: Callable[[str], ToolClient],
        model: ModelFactory,
        ready: Callable[[], None] = lambda: None,
    ) -> None:
        """`ready` is called whenever the keeper has answered a request for work."""
        self._profile, self._replica, self._ready_told = profile, replica, ready
        self._keeper_factory, self._tool_client, self._model = keeper, tool_client, model
        self._agent: Any = None
        self._stack = AsyncExitStack()  # holds the model's connections open between tasks

    async def run(self) -> None:
        """Take and work, for ever; a keeper that is away is asked again."""
        # The first asks without waiting, so that one knows soon whether the keeper is there.
        take = Take(replica=self._replica, wait_seconds=0)
        async with self._keeper_factory() as keeper, self._stack:
            with Renewer(self._keeper_factory) as renewer:
                while True:
                    try:
                        lease = await keeper.take(take)
                    except OperatorError:
                        await asyncio.sleep(KEEPER_RETRY_SECONDS)
                        continue
                    self._ready_told()
                    take = Take(replica=self._replica, wait_seconds=TAKE_WAIT_SECONDS)
                    if lease is not None:
                        await self._work(keeper, renewer, lease)

    async def _work(self, keeper: KeeperClient, renewer: Renewer, lease: Lease) -> None:
        loop = asyncio.get_running_loop()
        job = asyncio.create_task(self._outcome(keeper, lease))
        with renewer.hold(lease, partial(loop.call_soon_threadsafe, job.cancel)) as held:
            try:
                outcome = await job
            except asyncio.CancelledError:
                if held.lost is None:  # this replica is being stopped, not the task
                    job.cancel()
                    raise
                log.info("task %s ended here: %s", lease.task, held.lost)
                return
            await self._report(keeper, lease, outcome)

    async def _report(self, keeper: KeeperClient, lease: Lease, outcome: Finish | Failure) -> None:
        try:
            if isinstance(outcome, Finish):
                await keeper.finish(lease.token, outcome)
            else:
                await keeper.fail(lease.token, outcome)
        except Refused as refused:
            if isinstance(outcome, Finish) and refused.code == "payload":
                failure = Failure(kind="refused", reason=refused.fault)
                await self._report(keeper, lease, failure)
            else:
                log.info("task %s: the result was refused: %s", lease.task, refused)
        except OperatorError as error:
            # The lease runs out and another attempt replays the journal up to here.
            log.warning("task %s: the result could not be delivered: %s", lease.task, error)

    async def _outcome(self, keeper: KeeperClient, lease: Lease) -> Finish | Failure:
        task = Task(lease=lease, profile=self._profile, keeper=keeper)
        try:
            agent = await self._ready(lease)
            return Finish(output=await answer(agent, task))
        except Exception as error:  # noqa: BLE001 - a task's failure is reported, never fatal here
            return failure_of(error)

    async def _ready(self, lease: Lease) -> Any:
        """The agent, built at the first task: its tools can be listed only with a lease."""
        if self._agent is None:
            granted = await self._granted(lease)
            made = await asyncio.to_thread(
                lambda: build(self._profile, self._model(self._profile), granted)
            )
            self._agent = await self._stack.enter_async_context(made)
        return self._agent

    async def _granted(self, lease: Lease) -> Granted:
        granted: Granted = []
        sent = {headers.LEASE: f"Bearer {lease.token}"}
        for grant in self._profile.tools:
            client = self._tool_client(grant.tool)
            granted += [(grant, client, info) for info in await client.list(sent)]
        return granted


def failure_of(error: BaseException) -> Failure:
    """Why a task did not answer, in words; never a traceback."""
    if isinstance(error, LimitReached):
        return Failure(kind="limit", reason=str(error))
    if isinstance(error, TimeoutError):
        return Failure(kind="deadline", reason="the run's time is up")
    if isinstance(error, Refused):
        return Failure(kind="refused", reason=str(error))
    if type(error).__name__ == "UsageLimitExceeded":
        return Failure(kind="limit", reason=f"turns_max of this agent reached ({error})")
    if not isinstance(error, OperatorError):
        log.debug("task failed", exc_info=error)
    return Failure(kind="error", reason=str(error) or type(error).__name__)
