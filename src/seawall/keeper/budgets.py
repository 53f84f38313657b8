"""Budgets: room is reserved before it is spent, and settled when the step is recorded.

One script checks and reserves, so that parallel children cannot overshoot together.
"""

from __future__ import annotations

from seawall.errors import Refused
from seawall.wire.messages import Reserve
from seawall.wire.profiles import Budget

from .journal import check_key
from .leases import Holder
from .store import Store


async def reserve(store: Store, held: Holder, message: Reserve) -> None:
    """Hold room in the run's and the day's budget; raises Refused `budget` when there is none."""
    check_key(message.key)
    asked = (message.turns, message.tool_calls, message.tokens, message.usd_micros)
    if min(asked) < 0:
        raise Refused("bad_request", "a reservation may not be negative")
    await store.run("reserve", *held, message.key, *asked)


async def release(store: Store, held: Holder, key: str) -> None:
    """Give back what a failed attempt had reserved."""
    check_key(key)
    await store.run("release", *held, key)


def lowered(mesh: Budget, wanted: Budget | None) -> Budget:
    """The mesh's budget with what the run asks for; raises Refused when it asks for more."""
    if wanted is None:
        return mesh
    asked = {name: getattr(wanted, name) for name in wanted.model_fields_set}
    for name, value in asked.items():
        most = getattr(mesh, name)
        if value is not None and value < 0:
            raise Refused("bad_request", f"{name}: must not be negative, got {value}")
        if most is not None and (value is None or value > most):
            raise Refused(
                "budget",
                f"{name}: the mesh allows a run {most}, and {value or 'no limit'} was asked for",
                f"Ask for less, or raise budgets/run/{name.removesuffix('_micros')}",
            )
    return mesh.model_copy(update=asked)
