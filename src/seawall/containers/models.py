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

from .life import log_to_stdout
from .serving import serve

SCRIPT = Path(places.FILES) / "script.yaml"


def main() -> None:
    """Serve the script that is in the image."""
    log_to_stdout()
    plan = FakePlan(answer=from_script(scripted.load(SCRIPT)))
    asyncio.run(serve({places.MODELS_PORT: app(plan)}))


if __name__ == "__main__":
    main()
