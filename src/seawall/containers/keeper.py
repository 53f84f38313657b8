"""The keeper's container: agents' side and people's side on ports of their own.

`python3 -m seawall.containers.keeper`
"""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

from starlette.types import ASGIApp

from seawall.errors import OperatorError
from seawall.keeper.app import agents_app
from seawall.keeper.archive import Archive
from seawall.keeper.archiver import Archiver
from seawall.keeper.door import door_app
from seawall.keeper.store import Store
from seawall.keeper.token import guarded_by
from seawall.wire import places
from seawall.wire.profiles import KeeperPolicy

from .life import alive, begin
from .serving import serve

BROKER_WAIT_SECONDS = 30.0
"""How long a start waits for the broker; then the engine starts the container again."""


async def run(policy: KeeperPolicy, broker: str, token_file: Path) -> None:
    """Serve both sides until told to stop. Raises OperatorError when the broker does not come."""
    archive = Archive(Path(places.DATA), policy.limits)
    async with (
        alive("keeper", policy.watch) as ready,
        await _connect(broker, policy) as store,
        Archiver(store, archive),
    ):
        people = guarded_by(token_file, door_app(store))
        apps: dict[int, ASGIApp] = {
            places.KEEPER_PORT: agents_app(store),
            places.PEOPLE_PORT: people,
        }
        await serve(apps, ready)


async def _connect(broker: str, policy: KeeperPolicy) -> Store:
    until = time.monotonic() + BROKER_WAIT_SECONDS
    while True:
        try:
            return await Store.connect(broker, policy)
        except OperatorError:
            if time.monotonic() > until:
                raise
            await asyncio.sleep(0.2)


def main() -> None:
    """Start with the profile that is in the image."""
    begin()
    policy = KeeperPolicy.model_validate_json(Path(places.PROFILE).read_bytes())
    # In a container every agent is behind a gateway, which meters (decision 0013).
    policy = policy.model_copy(update={"metered": True})
    try:
        asyncio.run(run(policy, places.BROKER, Path(places.SECRETS) / places.DOOR_TOKEN))
    except OperatorError as error:
        raise SystemExit(str(error)) from None


if __name__ == "__main__":
    main()
