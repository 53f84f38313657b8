"""Where things are inside every container: what the renderers write and the programs read."""

from collections.abc import Iterable

PROFILE = "/seawall/profile.json"
"""The workload's own profile (`wire/profiles.py`)."""
FILES = "/seawall/files"
"""The author's files, at the paths that the spec gives them."""
MODEL = "/seawall/model"
"""Memory's embedding model, made when the image is built."""
SECRETS = "/run/secrets"
"""One file a secret, named after it."""
SECRETS_VARIABLE = "SEAWALL_SECRETS_DIR"
"""Environment variable that tells a tool's program the folder of its secrets' files."""
DOOR_TOKEN = "door-token"  # noqa: S105 - a file's name
"""The secret that people's requests carry, as the keeper knows it: its SHA-256 in hex."""
HEALTH = "/tmp/seawall-health"  # noqa: S108 - on a tmpfs of the container's own
"""First line: unix seconds, whole, until which the workload counts as healthy; it writes it anew in
time. Further lines, for people: what it is doing, since and until when."""
DATA = "/data"

GATEWAY = "http://gateway:8080"
"""An agent's one neighbour."""
DIRECT = ("gateway", "localhost", "127.0.0.1")
"""What no client asks a proxy for."""


def proxy(direct: Iterable[str] = ()) -> dict[str, str]:
    """Environment variables by which ordinary clients reach hosts outside through the gateway.

    `direct`: names that the gateway has a listener of its own for.
    """
    names = ",".join([*DIRECT, *direct])
    every = {"HTTP_PROXY": GATEWAY, "HTTPS_PROXY": GATEWAY, "NO_PROXY": names}
    small = {name.lower(): value for name, value in every.items()}
    # Node heeds the others only with it (nodejs.org/api/cli.html, from 22.21 and 24.5 on).
    return {**every, **small, "NODE_USE_ENV_PROXY": "1"}


KEEPER_PATH = "/keeper"
TOOLS_PATH = "/tools"
MODELS_PATH = "/models"

KEEPER_PORT = 8080
"""The agents' side."""
PEOPLE_PORT = 8081
"""The people's side, behind the door."""
BRIDGE_PORT = 8080
BROKER_PORT = 6379
GATEWAY_PORT = 8080
DOOR_PORT = 8443
MODELS_PORT = 8400
"""Scripted models of an offline mesh."""
BROKER = f"redis://broker:{BROKER_PORT}/0"
