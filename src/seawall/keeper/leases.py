"""Leases: who holds which task, and until when.

A token is `<task>.<secret>`; the broker keeps only the secret's hash, and every delivery has a new
secret, so that what a replica lost it can no longer write (fencing).
"""

from __future__ import annotations

import hashlib
import secrets
from typing import NamedTuple

from starlette.requests import Request

from seawall.errors import Refused
from seawall.wire import headers, trace
from seawall.wire.messages import Renewal

from .store import Store


class Holder(NamedTuple):
    """Who a request says it is: what every script on a lease is called with."""

    task: str
    secret: str
    """The hash, never the secret itself."""
    agent: str


class Named(NamedTuple):
    """What a valid token names."""

    agent: str
    run: str
    task: str


def new_secret() -> tuple[str, str]:
    """A fresh secret and its hash."""
    secret = secrets.token_urlsafe(24)
    return secret, _digest(secret)


def holder(authorization: str, agent: str) -> Holder:
    """Read a request's `Authorization` header; raises Refused `token`."""
    scheme, _, token = authorization.partition(" ")
    task, _, secret = token.strip().partition(".")
    if scheme.lower() != "bearer" or not task or not secret or len(token) > 200:
        raise Refused("token", "a lease token is needed", "Send Authorization: Bearer <token>")
    return Holder(task, _digest(secret), agent)


async def renew(store: Store, held: Holder) -> Renewal:
    """Lengthen the lease; says `cancelled` when the task has been ended by someone else."""
    cancelled, deadline = await store.run("renew", *held)
    return Renewal(
        seconds=store.policy.limits.lease_seconds,
        cancelled=bool(cancelled),
        deadline=float(deadline) if deadline else None,
    )


async def authorize(store: Store, held: Holder) -> Named:
    """What this token names, for the gateway; raises Refused when it holds nothing."""
    return Named(*await store.run("authorize", *held))


def told(named: Named, request: Request) -> dict[str, str]:
    """The headers with which a gateway sends a request on: who asks, and in which trace."""
    sent = request.headers.get(trace.TRACEPARENT, "")
    return {
        headers.AGENT: named.agent,
        headers.RUN: named.run,
        headers.TASK: named.task,
        trace.TRACEPARENT: trace.joined(sent, named.run, named.task),
    }


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
