"""Scripted models on the providers' real wire, for a mesh that runs `--offline`.

`python3 -m seawall.containers.models`
"""

from __future__ import annotations

import asyncio
from pathlib import Path

from seawall.models import scripted
from seawall.models.fake_plan import FakePlan, from_script
from seawall.models.fake_providers import app
from seawall.wire import places
from seawall.wire.profiles import Watch

from .life import alive, begin
from .serving import serve

SCRIPT = Path(places.FILES) / "script.yaml"


async def run(plan: FakePlan) -> None:
    """Serve until told to stop."""
    async with alive("models", Watch()) as ready:
        await serve({places.MODELS_PORT: app(plan)}, ready)


def main() -> None:
    """Serve the script that is in the image."""
    begin()
    plan = FakePlan(answer=from_script(scripted.load(SCRIPT)))
    asyncio.run(run(plan))


if __name__ == "__main__":
    main()
