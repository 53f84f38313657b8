"""What a model's failure means: whether waiting may help, and whom to tell what.

No message carries a key, nor what the provider wrote when it refused one (some echo parts of it).
"""

from __future__ import annotations

import re
from urllib.parse import urlsplit, urlunsplit

from pydantic_ai import exceptions as pai

from seawall.errors import LimitReached, OperatorError
from seawall.wire.profiles import ModelProfile

HOMES = {"anthropic": "https://api.anthropic.com", "openai": "https://api.openai.com/v1"}
"""Providers that Seawall speaks to, and where each lives."""

_PASSING_STATUS = frozenset({408, 409, 425, 429, 529})
_DETAIL_CHARACTERS_MAX = 300
_TOO_LONG = re.compile(r"prompt is too long|context.?(length|window|size)|maximum context", re.I)


class CutStreamError(pai.ModelConnectionError):
    """A stream that ended, without an error, before the model had finished."""


DENIED = frozenset({"budget", "usage", "deadline"})
"""Codes with which a gateway refuses a model call, and asking again changes nothing."""


def denied(error: BaseException) -> LimitReached | None:
    """What the gateway said when it, and not the provider, refused; a fault of the keeper's."""
    body = getattr(error, "body", None)
    if not isinstance(body, dict) or body.get("code") not in DENIED:
        return None
    return LimitReached(str(body["code"]), str(body.get("reason")), str(body.get("remedy", "")))


def is_passing(error: BaseException) -> bool:
    """True when the same request may succeed a little later."""
    if isinstance(error, pai.ModelQuotaExceededError):
        return False
    if isinstance(error, pai.ModelHTTPError):
        status = error.status_code
        return status in _PASSING_STATUS or status >= 500
    if isinstance(error, pai.ModelRequestRejectedError):
        return False
    # What is left of ModelAPIError: no connection, a cut stream, an error event, bytes that are
    # no JSON. UnexpectedModelBehavior: JSON that is no response.
    return isinstance(error, pai.ModelAPIError) or type(error) is pai.UnexpectedModelBehavior


def place(profile: ModelProfile) -> str:
    """The model and its server, for messages; a password in the address is left out."""
    home = profile.base_url or HOMES.get(profile.ref.partition(":")[0], "")
    parts = urlsplit(home)
    host = parts.netloc.rpartition("@")[2]
    bare = urlunsplit((parts.scheme, host, parts.path, "", ""))
    return f"model {profile.ref} at {bare}"


def explain(
    error: BaseException, profile: ModelProfile, key: str | None, attempts: int
) -> OperatorError:
    """The error as a person can act on it."""
    fault, remedy = _meaning(error, profile)
    if is_passing(error) and attempts > 1:
        fault = f"{fault} ({attempts} attempts)"
    return OperatorError(place(profile), _without(fault, key), _without(remedy, key))


def _meaning(error: BaseException, profile: ModelProfile) -> tuple[str, str]:
    name = profile.ref.partition(":")[2]
    status = getattr(error, "status_code", None)
    if isinstance(error, pai.ModelAuthenticationError) or status in (401, 403):
        if profile.secret is None:
            return "the server wants a key", "Name its secret in the model's `secret:`"
        return (
            f"the key in the secret {profile.secret} was refused",
            f"Set {profile.secret} to a key that may use this model",
        )
    if isinstance(error, pai.ModelQuotaExceededError):
        return f"the account's quota is used up: {_detail(error)}", "Raise it with the provider"
    if isinstance(error, pai.ModelContextWindowExceededError) or (
        status in (400, 413) and _TOO_LONG.search(_detail(error))
    ):
        return (
            f"the conversation is longer than the model can read: {_detail(error)}",
            "Give the agent less to read, or a model with a larger context",
        )
    if isinstance(error, pai.ModelNotFoundError) or status == 404:
        return f"the server has no model {name!r}", "Check the model's name and `base_url`"
    return _passing_meaning(error, profile)


def _passing_meaning(error: BaseException, profile: ModelProfile) -> tuple[str, str]:
    status = getattr(error, "status_code", None)
    if isinstance(error, CutStreamError):
        return "the stream ended before the answer did", "Try again, or another server"
    if isinstance(error, pai.ModelTimeoutError):
        silence = f"nothing came for {profile.timeout_seconds:g} s"
        return silence, "Try again, or raise the model's `timeout:`"
    if isinstance(error, pai.ModelConnectionError):
        if error.phase == "read":
            return "the connection broke while it answered", "Try again"
        return (
            f"cannot be reached: {_detail(error)}",
            "Check that the server runs and that `base_url` is right",
        )
    if isinstance(error, pai.ModelRateLimitError):
        return f"too many requests: {_detail(error)}", "Try again later, or add `fallbacks:`"
    if isinstance(error, pai.ModelOverloadedError | pai.ModelUnavailableError):
        return f"is overloaded or down: {_detail(error)}", "Try again later, or add `fallbacks:`"
    if isinstance(error, pai.ModelHTTPError):
        return f"answered {status}: {_detail(error)}", "Check the model's settings"
    return f"answered what is no answer: {_detail(error)}", "Check that `base_url` is right"


def _detail(error: BaseException) -> str:
    body = getattr(error, "body", None)
    inner = body.get("error", body) if isinstance(body, dict) else None
    text = inner.get("message") if isinstance(inner, dict) else None
    shown = " ".join(str(text or getattr(error, "message", "") or error).split()).rstrip(".")
    if len(shown) > _DETAIL_CHARACTERS_MAX:
        shown = shown[:_DETAIL_CHARACTERS_MAX] + "…"
    return shown or type(error).__name__


def _without(text: str, key: str | None) -> str:
    return text.replace(key, "…") if key else text
