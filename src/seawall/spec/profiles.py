"""From a model's reference in a spec to its profile: settings, key by convention, fallbacks."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from .model import ModelSettings, Spec
from .units import is_loopback

if TYPE_CHECKING:
    from seawall.wire.profiles import ModelProfile

KEYS = {"anthropic": "ANTHROPIC_API_KEY", "openai": "OPENAI_API_KEY"}
"""Provider to the secret that holds its key, unless the spec names another."""
HOSTS = {"anthropic": "api.anthropic.com", "openai": "api.openai.com"}
_MICROS = 1_000_000


def profile(spec: Spec, name: str, *, fallbacks: bool = True) -> ModelProfile:
    """The profile of a checked spec's model.

    Its fallbacks are one list, each followed by its own, every model once: two models may name
    each other.
    """
    from seawall.wire.profiles import ModelProfile  # late: `check` seldom needs it

    settings = spec.models.get(name, ModelSettings())
    ref = settings.model or name
    prices = settings.prices
    return ModelProfile(
        ref=ref,
        base_url=settings.base_url,
        secret=secret(spec, name),
        output_tokens_max=settings.output_tokens,
        temperature=settings.temperature,
        timeout_seconds=settings.timeout,
        retries_max=settings.retries,
        allow_private_addresses=settings.allow_private_addresses,
        usd_micros_per_mtok_input=None if prices is None else round(prices.input * _MICROS),
        usd_micros_per_mtok_output=None if prices is None else round(prices.output * _MICROS),
        allow_missing_usage=settings.allow_missing_usage,
        fallbacks=tuple(profile(spec, other, fallbacks=False) for other in chain(spec, name)[1:])
        if fallbacks
        else (),
    )


def chain(spec: Spec, name: str, seen: tuple[str, ...] = ()) -> tuple[str, ...]:
    """A model and all that is tried when it fails, in order."""
    seen = (*seen, name)
    settings = spec.models.get(name)
    for other in settings.fallbacks if settings else ():
        if other not in seen:
            seen = chain(spec, other, seen)
    return seen


def provider(spec: Spec, name: str) -> str:
    """The provider's word of a model's reference."""
    settings = spec.models.get(name)
    return ((settings.model if settings else None) or name).partition(":")[0]


def secret(spec: Spec, name: str) -> str | None:
    """The secret that holds a model's key; None when its server wants none."""
    settings = spec.models.get(name, ModelSettings())
    if settings.secret is not None:
        return settings.secret
    if settings.base_url is not None:
        url = urlsplit(settings.base_url)
        if url.scheme == "http" or is_loopback(url.hostname or ""):
            return (
                None  # a server of one's own: it wants no key, and a provider's is not its to see
            )
    return KEYS.get(provider(spec, name))
