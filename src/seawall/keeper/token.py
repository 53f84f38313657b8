"""The people's side asks for the door's token; the keeper knows only its hash."""

from __future__ import annotations

import hashlib
import hmac
from pathlib import Path

from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from .http import fault

HEALTH_PATH = "/v1/health"


def guarded_by(file: Path, app: ASGIApp) -> ASGIApp:
    """`app`, for requests whose bearer token's SHA-256 is in `file`.

    The file is read for each request, so that a new token needs no restart. No file, no access.
    """

    async def guard(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and not _allowed(Request(scope), file):
            refused = fault("token", "the door's token is missing or wrong",
                            "Send Authorization: Bearer <token>")  # fmt: skip
            await refused(scope, receive, send)
            return
        await app(scope, receive, send)

    return guard


def _allowed(request: Request, file: Path) -> bool:
    if request.url.path == HEALTH_PATH:
        return True
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    try:
        known = file.read_text("ascii").strip()
    except (OSError, UnicodeDecodeError):
        return False
    given = hashlib.sha256(token.strip().encode()).hexdigest()
    # In constant time: how much of a guess was right must not show.
    return scheme.lower() == "bearer" and bool(known) and hmac.compare_digest(given, known)
