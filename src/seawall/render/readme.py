"""What lies beside a rendered compose.yaml for people without Seawall: README.md, make-secrets."""

from __future__ import annotations

from collections.abc import Mapping

from seawall.plan.model import Plan
from seawall.wire import places

Keys = Mapping[str, tuple[str, ...]]
"""Service to the names of the secrets that it is given."""


def readme(plan: Plan, keys: Keys) -> str:
    """How to run the project, for somebody who knows Docker and nothing of Seawall."""
    names = sorted({name for given in keys.values() for name in given})
    given = " ".join(f"{name}=…" for name in names)
    rows = [f"| `secrets/{service}/{name}` | the secret {name} |"
            for service, given_ in sorted(keys.items()) for name in given_]  # fmt: skip
    table = "\n".join(rows)
    joined = sorted({one.network for one in plan.services if one.network})
    others = (
        f"Docker networks that must be there before: {', '.join(joined)}.\n\n" if joined else ""
    )
    return f"""\
# The mesh {plan.name}, for Docker Compose

Rendered by Seawall, which is not needed to run it. Edit seawall.yaml and render again; do not edit
here. Needs Docker Engine 28 or newer with Compose 2.30 and buildx, and the kernel's
`net.ipv4.conf.all.rp_filter` at 1 or 2 (`sysctl -w net.ipv4.conf.all.rp_filter=2`): with 0 a
container can send packets to this machine past its network's isolation.

{others}    {given + " " if given else ""}sh make-secrets    # once, and again for new values
    docker compose up --detach --build --wait

Ask it through the door, its only published port:

    door=$(docker compose port door {places.DOOR_PORT})
    curl --oauth2-bearer "$(cat secrets/door-token)" "http://$door/v1/runs" \\
        --json '{{"input": "your question"}}'
    curl --oauth2-bearer "$(cat secrets/door-token)" "http://$door/v1/runs/RUN"

`docker compose down` removes containers and networks; `--volumes` also all that the mesh knows.
Then remove `secrets/` by hand.

## Secrets

`make-secrets` writes them from the environment, and makes the door's token. By hand: the folder
`secrets/` with mode 0700, in it a folder for each service (0755), in these files readable by all
(0444), because each container has a user of its own. Write a new value to another file and rename
it into place: gateways see that at once, without a restart.

| file | holds |
|---|---|
| `secrets/door-token` | what people send to the door; this one with mode 0600 |
| `secrets/keeper/{places.DOOR_TOKEN}` | its SHA-256 in hex |
{table + chr(10) if table else ""}
Files stay over a reboot, and so does the mesh: its containers start with Docker.
"""


def make_secrets(keys: Keys) -> str:
    """A script for any POSIX shell: environment to files. Says every missing name at once."""
    names = sorted({name for given in keys.values() for name in given})
    puts = "\n".join(
        f'put {service} {name} "${name}"'
        for service, given in sorted(keys.items()) for name in given
    )  # fmt: skip
    check = f"""\
missing=
for name in {" ".join(names)}; do
    eval "value=\\${{$name:-}}"
    [ -n "$value" ] || missing="$missing $name"
done
[ -z "$missing" ] || {{ echo "make-secrets: set these first:$missing" >&2; exit 3; }}
"""
    return f"""\
#!/bin/sh
# Writes the mesh's secrets below secrets/ from environment variables of the same names, and makes
# the door's token unless there is one. Rendered by Seawall. Usage: NAME=value sh make-secrets
set -eu
cd "$(dirname "$0")"
umask 022
{check if names else ""}
mkdir -p secrets
chmod 0700 secrets

# Whole or not at all: the gateways watch for the rename.
put() {{
    mkdir -p "secrets/$1"
    printf %s "$3" >"secrets/$1/.new"
    chmod 0444 "secrets/$1/.new"
    mv -f "secrets/$1/.new" "secrets/$1/$2"
}}

if [ ! -s secrets/door-token ]; then
    (umask 077; od -An -N32 -tx1 /dev/urandom | tr -d ' \\n' >secrets/door-token)
fi
sha256() {{ if command -v sha256sum >/dev/null; then sha256sum; else shasum -a 256; fi; }}
put keeper {places.DOOR_TOKEN} "$(sha256 <secrets/door-token | cut -d ' ' -f 1)"
{puts}
"""
