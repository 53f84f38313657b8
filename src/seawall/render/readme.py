"""The words beside a rendered project: what to do with it where Seawall is not installed."""

from __future__ import annotations

from seawall.plan.model import Plan
from seawall.wire import places

from . import gateway
from .topology import Topology


def readme(plan: Plan, shape: Topology, *, offline: bool) -> str:
    """`README.md` of the folder."""
    return f"""\
# The mesh {plan.name}, for Docker Compose

Rendered by Seawall. It runs on a machine without Seawall, with Docker Engine 28 or newer:

1. Make the door's token, and give the keeper its SHA-256:

        install -d -m 0700 secrets && install -d secrets/keeper
        head -c 24 /dev/urandom | base64 | tr -d '\\n' > secrets/door-token
        printf %s "$(sha256sum < secrets/door-token | cut -d' ' -f1)" \\
            > secrets/keeper/{places.DOOR_TOKEN}
        chmod 0444 secrets/keeper/*; chmod 0600 secrets/door-token

{_keys(shape, offline=offline)}
3. `docker compose up --detach --wait` builds the images and starts the mesh. The images' names
   say what is in them: what has not changed is not built again.

4. Ask through the door, at the port that `docker compose port door {places.DOOR_PORT}` prints:

        door=$(docker compose port door {places.DOOR_PORT})
        run=$(curl -s "http://$door/v1/runs" -H 'content-type: application/json' \\
            -H "authorization: Bearer $(cat secrets/door-token)" -d '{{"input": "Hello"}}')
        echo "$run"

`docker compose down` stops it; with `--volumes` it forgets.
"""


def _keys(shape: Topology, *, offline: bool) -> str:
    wanted = [
        f"        secrets/{service.name}/{secret}"
        for service in shape.services
        if service.kind == "gateway" and not offline
        for secret in gateway.credentials(service)
    ]
    if not wanted:
        return "2. Nothing else is secret here.\n"
    return f"""\
2. Put each key, without a line's end, into the file that its gateway reads, readable (0444) for
   the gateway's user:

{chr(10).join(wanted)}
"""
