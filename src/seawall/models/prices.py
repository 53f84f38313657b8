"""What a model's tokens cost, in whole micro-dollars.

The spec's own prices win; otherwise the genai-prices library, whose data ships with it: no network.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_CEILING, Decimal
from typing import Any

from seawall.wire.profiles import ModelProfile

_MICROS = 1_000_000


@dataclass(frozen=True)
class Tier:
    """A price that holds for a whole request once its input reaches `start` tokens."""

    start: int
    input: int
    output: int


@dataclass(frozen=True)
class Price:
    """Micro-dollars per million tokens. Cached input counts in full: never too low for a budget."""

    input: int
    output: int
    tiers: tuple[Tier, ...] = ()
    """Ascending by start."""


def find(profile: ModelProfile) -> Price | None:
    """The price of a model, or None when neither the spec nor the library knows it.

    Scripted models are free. A price given for one direction only counts the other as free.
    """
    given = profile.usd_micros_per_mtok_input, profile.usd_micros_per_mtok_output
    if given != (None, None):
        return Price(given[0] or 0, given[1] or 0)
    provider, _, name = profile.ref.partition(":")
    if provider == "scripted":
        return Price(0, 0)
    return _from_library(provider, name)


def cost(price: Price, input_tokens: int, output_tokens: int) -> int:
    """Micro-dollars for one request, rounded up."""
    rate_in, rate_out = price.input, price.output
    for tier in price.tiers:
        if input_tokens >= tier.start:
            rate_in, rate_out = tier.input, tier.output
    return -(-(input_tokens * rate_in + output_tokens * rate_out) // _MICROS)


def _from_library(provider: str, name: str) -> Price | None:
    from datetime import UTC, datetime

    from genai_prices.data_snapshot import get_snapshot

    try:
        _, model = get_snapshot().find_provider_model(name, None, provider, None)
    except LookupError:
        return None
    prices = model.get_prices(datetime.now(tz=UTC))
    given = getattr(prices, "input_mtok", None), getattr(prices, "output_mtok", None)
    if None in given:
        return None
    return _with_tiers(*given)


def _with_tiers(rate_in: Any, rate_out: Any) -> Price:
    starts = sorted(
        {tier.start for rate in (rate_in, rate_out) for tier in getattr(rate, "tiers", ())}
    )
    tiers = tuple(Tier(start, _at(rate_in, start), _at(rate_out, start)) for start in starts)
    return Price(_at(rate_in, 0), _at(rate_out, 0), tiers)


def _at(rate: Any, tokens: int) -> int:
    usd = getattr(rate, "base", rate)
    for tier in getattr(rate, "tiers", ()):
        if tokens >= tier.start:
            usd = tier.price
    return int((Decimal(usd) * _MICROS).to_integral_value(ROUND_CEILING))
