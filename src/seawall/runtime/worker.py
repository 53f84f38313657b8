"""Takes tasks for one replica of an agent, one at a time, and reports how they ended."""

from __future__ import annotations

import asyncio
import importlib
import logging
import threading
import time
from collections.abc import Callable
from contextlib import AsyncExitStack, ExitStack, suppress
from functools import partial
from typing import TYPE_CHECKING, Any

from seawall.errors import LimitReached, OperatorError, Refused
from seawall.wire import headers
from seawall.wire.messages import Failure, Finish, GiveBack, Lease, Take
from seawall.wire.profiles import AgentProfile

from .caller import seconds_max
from .keeper_client import KeeperClient
from .progress import Progress
from .renewer import KeeperFactory, Renewer
from .steps import Task
from .tool_client import LIST_SECONDS_MAX, ToolAwayError, ToolClient

if TYPE_CHECKING:
    from pydantic_ai.models import Model

    from seawall.wire.tools import FunctionInfo

    from .toolsets import Granted

    ModelFactory = Callable[[AgentProfile], Model]

log = logging.getLogger(__name__)

LOOP = "seawall.runtime.loop"
"""Brings pydantic-ai with it, most of a start's processor time; so it is not imported here."""
WARM_AFTER_SECONDS = 5.0
"""How long after the start an idle replica imports it. Forty that start at once would otherwise
take the processor from one another when each is asked whether it is ready."""
KEEPER_RETRY_SECONDS = 0.5
TAKE_WAIT_SECONDS = 20.0
BUILD_SECONDS_MAX = 300.0
"""How long an agent may take to be built: providers are imported then."""
AWAY_SECONDS_MAX = 20.0
"""How long a tool whose functions are to be listed may be away, and how often it is asked."""
AWAY_PAUSE_SECONDS = 0.5
LETTING_GO_SECONDS_MAX = 20.0
"""How long a task that has been cancelled may take to end."""
STOP_SECONDS_MAX = 1.0
"""How long a running task may take to end when this replica is stopped."""
GIVE_BACK_SECONDS_MAX = 3.0
"""How long the keeper may take to hear of it: all within the engine's 10 s for a stop."""


class Worker:
    """One replica. `run()` never returns; cancel it to stop: then its task is given back."""

    def __init__(
        self,
        profile: AgentProfile,
        replica: str,
        keeper: KeeperFactory,
        tool_client: Callable[[str], ToolClient],
        model: ModelFactory,
        ready: Callable[[], None] = lambda: None,
        progress: Progress | None = None,
    ) -> None:
        """`model` is called at the first task; `ready` whenever the keeper has answered a request
        for work.
        """
        self._profile, self._replica, self._ready_told = profile, replica, ready
        self._keeper_factory, self._tool_client, self._model = keeper, tool_client, model
        self._progress = progress or Progress()
        self._agent: Any = None
        self._stack = AsyncExitStack()  # holds the model's connections open between tasks

    async def run(self) -> None:
        """Take and work, for ever; a keeper that is away is asked again."""
        # The first asks without waiting, so that one knows soon whether the keeper is there.
        take = Take(replica=self._replica, wait_seconds=0)
        warming = asyncio.get_running_loop().call_later(WARM_AFTER_SECONDS, warm)
        self._stack.callback(warming.cancel)
        async with self._keeper_factory() as keeper, self._stack:
            with Renewer(self._keeper_factory) as renewer:
                while True:
                    try:
                        with self._progress.doing("idle", seconds_max(take.wait_seconds)):
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
        job = asyncio.create_task(self._outcome(keeper, lease), name=f"task {lease.task}")
        with ExitStack() as going_on:

            def let_go() -> None:
                doing = self._progress.doing("letting go of the task", LETTING_GO_SECONDS_MAX)
                going_on.enter_context(doing)
                job.cancel()

            pause = self._profile.watch.pause_seconds
            name = f"task {lease.task}"
            going_on.enter_context(self._progress.doing(name, None, pause_seconds=pause))
            with renewer.hold(lease, partial(loop.call_soon_threadsafe, let_go)) as held:
                try:
                    # Not `await job`: a stop would be passed on to it, and wait until it has ended.
                    await asyncio.wait({job})
                except asyncio.CancelledError:  # this replica is being stopped
                    await self._give_back(keeper, lease, job)
                    raise
                if job.cancelled():
                    log.info("task %s ended here: %s", lease.task, held.lost)
                    return
                with self._progress.doing("reporting", 2 * seconds_max()):
                    await self._report(keeper, lease, job.result())

    async def _give_back(
        self, keeper: KeeperClient, lease: Lease, job: asyncio.Task[Finish | Failure]
    ) -> None:
        """Let go of the task, so that another replica need not wait for the lease to run out."""
        job.cancel()
        await asyncio.wait({job}, timeout=STOP_SECONDS_MAX)
        log.info("task %s is given back: this replica stops", lease.task)
        message = GiveBack(reason=f"replica {self._replica} stopped")
        with suppress(Refused, OperatorError, TimeoutError):
            async with asyncio.timeout(GIVE_BACK_SECONDS_MAX):
                await keeper.give_back(lease.token, message)

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
        task = Task(lease=lease, profile=self._profile, keeper=keeper, progress=self._progress)
        try:
            agent = await self._ready(lease)
            from .loop import answer

            return Finish(output=await answer(agent, task))
        except Exception as error:  # noqa: BLE001 - a task's failure is reported, never fatal here
            return failure_of(error)

    async def _ready(self, lease: Lease) -> Any:
        """The agent, built at the first task: its tools can be listed only with a lease."""
        if self._agent is None:
            granted = await self._granted(lease)
            with self._progress.doing("starting", BUILD_SECONDS_MAX):
                made = await asyncio.to_thread(self._built, granted)
                self._agent = await self._stack.enter_async_context(made)
        return self._agent

    def _built(self, granted: Granted) -> Any:
        """In a thread: it may import for seconds."""
        from .loop import build

        return build(self._profile, self._model(self._profile), granted)

    async def _granted(self, lease: Lease) -> Granted:
        granted: Granted = []
        sent = {headers.LEASE: f"Bearer {lease.token}"}
        for grant in self._profile.tools:
            client = self._tool_client(grant.tool)
            longest = LIST_SECONDS_MAX + AWAY_SECONDS_MAX
            with self._progress.doing(f"listing {grant.tool}", longest):
                granted += [(grant, client, info) for info in await patiently(client, sent)]
        return granted


async def patiently(client: ToolClient, sent: dict[str, str]) -> list[FunctionInfo]:
    """A tool's functions. One that is away comes back soon: it is started again, or the machine was
    (agents take work as soon as the keeper is there). Asking again does nothing twice. What a tool
    that answers says of itself is told at once.

    Raises:
        OperatorError: it did not come back in time.
        Refused: it may not be listed.
    """
    until = time.monotonic() + AWAY_SECONDS_MAX
    while True:
        try:
            return await client.list(sent)
        except ToolAwayError:
            if time.monotonic() > until:
                raise
        await asyncio.sleep(AWAY_PAUSE_SECONDS)


def warm() -> None:
    """Import the loop beside what goes on; a thread of its own, that no stop waits for."""
    threading.Thread(target=importlib.import_module, args=(LOOP,), name="warm", daemon=True).start()


def failure_of(error: BaseException) -> Failure:
    """Why a task did not answer, in words; never a traceback."""
    if isinstance(error, LimitReached):
        kind = "deadline" if error.place == "deadline" else "limit"
        return Failure(kind=kind, reason=str(error))
    if isinstance(error, TimeoutError):
        return Failure(kind="deadline", reason="the run's time is up")
    if isinstance(error, Refused):
        return Failure(kind="refused", reason=str(error))
    if type(error).__name__ == "UsageLimitExceeded":
        return Failure(kind="limit", reason=f"turns_max of this agent reached ({error})")
    if type(error).__name__ == "UnexpectedModelBehavior":
        return Failure(kind="error", reason=f"the model gave no usable answer ({error})")
    if not isinstance(error, OperatorError):
        log.debug("task failed", exc_info=error)
    return Failure(kind="error", reason=str(error) or type(error).__name__)
