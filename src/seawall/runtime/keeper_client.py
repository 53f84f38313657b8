"""The keeper as agents see it. The identity header is the gateway's to set, never this client's."""

from __future__ import annotations

from seawall.wire.messages import (
    Begin,
    Delegated,
    Delegation,
    Failure,
    Finish,
    GiveBack,
    Lease,
    Progress,
    Release,
    Renewal,
    Step,
    Take,
    TaskResult,
)

from .caller import Caller


class KeeperClient:
    """Every call an agent may make; all but `take` and `progress` are safe to repeat."""

    def __init__(self, caller: Caller) -> None:
        self._call = caller.call

    async def take(self, message: Take) -> Lease | None:
        """Wait for work; None when there was none in time."""
        response = await self._call(
            "POST", "/v1/take", message=message, wait_seconds=message.wait_seconds
        )
        return None if response.status_code == 204 else Lease.model_validate_json(response.content)

    async def renew(self, token: str) -> Renewal:
        """Lengthen the lease. Raises Refused `lease_lost`."""
        # Never retried here: the renewer has its own clock.
        response = await self._call("POST", "/v1/renew", token=token, retried=False)
        return Renewal.model_validate_json(response.content)

    async def begin(self, token: str, message: Begin) -> None:
        """Say that a step is about to happen, and hold room for it. Raises Refused `budget`."""
        await self._call("POST", "/v1/begin", token=token, message=message)

    async def record(self, token: str, step: Step) -> None:
        """Put a finished step into the journal, and settle what was reserved for its key."""
        await self._call("POST", "/v1/record", token=token, message=step)

    async def release(self, token: str, message: Release) -> None:
        """Say that a step that began will not be recorded."""
        await self._call("POST", "/v1/release", token=token, message=message)

    async def delegate(self, token: str, message: Delegation) -> Delegated:
        """Hand work to another agent; the same key twice is one child."""
        response = await self._call("POST", "/v1/delegate", token=token, message=message)
        return Delegated.model_validate_json(response.content)

    async def result(self, token: str, task: str, wait_seconds: float) -> TaskResult:
        """How a child stands, after waiting for its end; `state` may still be running."""
        path = f"/v1/result/{task}?wait={wait_seconds:.3f}"
        response = await self._call("GET", path, token=token, wait_seconds=wait_seconds)
        return TaskResult.model_validate_json(response.content)

    async def progress(self, token: str, message: Progress) -> None:
        """Show people what is going on."""
        path = "/v1/progress"
        await self._call("POST", path, token=token, message=message, retried=False)

    async def finish(self, token: str, message: Finish) -> None:
        """Answer."""
        await self._call("POST", "/v1/finish", token=token, message=message)

    async def fail(self, token: str, message: Failure) -> None:
        """Give up, with a reason."""
        await self._call("POST", "/v1/fail", token=token, message=message)

    async def give_back(self, token: str, message: GiveBack) -> None:
        """Leave the task to another replica; it is offered to one at once."""
        await self._call("POST", "/v1/give_back", token=token, message=message)
