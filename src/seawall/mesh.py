"""The Python API: load a mesh, ask it, stream what happens. The command line uses nothing else."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seawall.errors import LimitReached, RunFailed
from seawall.plan.model import Plan
from seawall.wire.messages import Event, RunView, StartRun
from seawall.wire.profiles import Budget

if TYPE_CHECKING:
    from seawall.memory.store import Stores

EVENTS_WAIT_SECONDS = 20.0
ENDINGS = ("run.done", "run.failed", "run.cancelled")


@dataclass(frozen=True)
class Mesh:
    """Everything that one `seawall.yaml` describes.

    >>> mesh = Mesh.load("seawall.yaml")               # doctest: +SKIP
    >>> (await mesh.run("What is a lease?")).output    # doctest: +SKIP
    """

    path: Path
    plan: Plan
    script: Path | None

    @classmethod
    def load(cls, path: str | Path, env: str | None = None) -> Mesh:
        """Read and check a spec.

        Raises:
            SpecError: with every fault in it.
        """
        from seawall.plan.compile import compile_plan
        from seawall.spec import load, sources

        spec = load.load(Path(path), env)
        plan = compile_plan(spec, sources.read(spec))
        script = Path(path).parent / spec.script if spec.script else None
        return cls(Path(path).resolve(), plan, script)

    @asynccontextmanager
    async def dev(
        self,
        *,
        offline: bool = False,
        broker: str | None = None,
        documents: Path | None = None,
        tell: Callable[[str], None] = lambda _text: None,
        warn: Callable[[str], None] = lambda _text: None,
        stores: Stores | None = None,
    ) -> AsyncIterator[Session]:
        """Run the mesh on the embedded engine.

        Args:
            offline: answer from the spec's script instead of real models.
            broker: `redis://…` or `rediss://…?ssl_ca_certs=FILE`; None for an embedded one.
            documents: folder to index instead of the spec's.
            tell: told what is happening while the engine starts.
            warn: told what of the spec this engine does not enforce.
            stores: where a mesh that this one is to replace has its memory open.

        Raises:
            OperatorError: something this machine lacks.
        """
        from seawall.engine.extra import require_embedded_engine

        require_embedded_engine("dev")
        from seawall.engine.dev import DevEngine, DevOptions

        folder, script = self.path.parent, self.script
        options = DevOptions(folder, offline, script, broker, documents, tell, warn, stores)
        async with DevEngine(self.plan, options) as engine:
            yield Session(engine.door)

    async def run(self, question: str, **dev: Any) -> RunView:
        """Start the embedded engine, ask one question, stop it. `dev` as in `Mesh.dev`."""
        async with self.dev(**dev) as session:
            return await session.run(question)

    def run_sync(self, question: str, **dev: Any) -> RunView:
        """`run` for a program without an event loop."""
        return asyncio.run(self.run(question, **dev))

    async def stream(self, question: str, **dev: Any) -> AsyncIterator[Event]:
        """Start the embedded engine and yield all that happens until the run ends."""
        async with self.dev(**dev) as session:
            async for event in session.stream(question):
                yield event


class Session:
    """A running mesh, from a person's side."""

    def __init__(self, door: Any) -> None:
        self.door = door

    async def run(self, question: str, budget: Budget | None = None) -> RunView:
        """Ask, and wait for the answer.

        Raises:
            LimitReached: the run ended on a limit.
            RunFailed: it ended without an answer.
        """
        run = ""
        async for event in self.stream(question, budget):
            run = event.run
        view: RunView = await self.door.run(run)
        return answered(view)

    async def stream(self, question: str, budget: Budget | None = None) -> AsyncIterator[Event]:
        """Ask, and yield events until the run ends. Leaving early cancels the whole tree."""
        started: RunView = await self.door.start(StartRun(input=question, budget=budget))
        ended = False
        try:
            async for event in self.events(started.run):
                ended = event.kind in ENDINGS
                yield event
        finally:
            if not ended:
                await asyncio.shield(self.door.cancel(started.run))

    async def events(self, run: str, after: str = "") -> AsyncIterator[Event]:
        """A run's events from `after` on, until it ends."""
        while True:
            for event in await self.door.events(run, after, EVENTS_WAIT_SECONDS):
                after = event.id
                yield event
                if event.kind in ENDINGS:
                    return


def answered(view: RunView) -> RunView:
    """The run if it has an answer; otherwise why not, as an exception."""
    if view.state == "done":
        return view
    failure = view.failure
    reason = failure.reason if failure else f"it is {view.state}"
    if failure and failure.kind in ("limit", "deadline"):
        raise LimitReached(f"run {view.run}", reason.rstrip("."))
    raise RunFailed(f"run {view.run}", reason.rstrip("."))
