"""What a model response may use at most, and what it did use, in the keeper's units."""

from __future__ import annotations

from typing import Any

from seawall.models import prices
from seawall.wire.messages import Usage
from seawall.wire.profiles import ModelProfile

CHARS_PER_TOKEN_MIN = 3
"""Fewer characters a token than English has (about 4), so that an estimate errs upwards."""


def estimate(model: ModelProfile, messages: Any) -> Usage:
    """The most that a request can use: all messages as input and the whole output allowance."""
    from pydantic_ai.messages import ModelMessagesTypeAdapter

    text = ModelMessagesTypeAdapter.dump_json(messages)
    return priced(model, len(text) // CHARS_PER_TOKEN_MIN, model.output_tokens_max)


def measure(model: ModelProfile, result: Any) -> Usage:
    """What a recorded response used, from the usage that the provider reported."""
    response = result.get("response", result) if isinstance(result, dict) else {}
    usage = response.get("usage") or {}
    return priced(model, usage.get("input_tokens") or 0, usage.get("output_tokens") or 0)


def priced(model: ModelProfile, input_tokens: int, output_tokens: int) -> Usage:
    """Tokens with their cost; an unpriced model costs nothing (a USD budget then is refused)."""
    price = prices.find(model)
    usd = prices.cost(price, input_tokens, output_tokens) if price else 0
    return Usage(input_tokens=input_tokens, output_tokens=output_tokens, usd_micros=usd, turns=1)
