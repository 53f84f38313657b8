"""What a model response may use at most, and what it did use, in the keeper's units."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

from seawall.models import prices
from seawall.wire.messages import Usage
from seawall.wire.profiles import ModelProfile

CHARS_PER_TOKEN_MIN = 3
"""Fewer characters a token than English has (about 4), so that an estimate errs upwards."""


class Meter:
    """Estimates and measures the steps of one task; what it has seen it does not weigh again."""

    def __init__(self, model: ModelProfile) -> None:
        self._model = model
        self._weighed: list[tuple[object, int]] = []

    def estimate(self, messages: Sequence[Any]) -> Usage:
        """The most a request can use: all messages as input and the whole output allowance."""
        # The newest message may still be filled in; the others stay the objects they were.
        known = 0
        for (seen, _), message in zip(self._weighed, messages[:-1], strict=False):
            if seen is not message:
                break
            known += 1
        fresh = [(message, _weigh(message)) for message in messages[known:]]
        self._weighed[known:] = fresh
        size = sum(size for _, size in self._weighed)
        return self.priced(size // CHARS_PER_TOKEN_MIN, self._model.output_tokens_max)

    def measure(self, result: Any) -> Usage:
        """What a recorded response used, from the usage that the provider reported."""
        response = result.get("response", result) if isinstance(result, dict) else {}
        usage = response.get("usage") or {}
        return self.priced(usage.get("input_tokens") or 0, usage.get("output_tokens") or 0)

    def priced(self, input_tokens: int, output_tokens: int) -> Usage:
        """Tokens with their cost; an unpriced model costs nothing (a USD budget is refused)."""
        usd = prices.cost(self._price, input_tokens, output_tokens) if self._price else 0
        return Usage(
            input_tokens=input_tokens, output_tokens=output_tokens, usd_micros=usd, turns=1
        )

    @cached_property
    def _price(self) -> prices.Price | None:
        return prices.find(self._model)


def _weigh(message: Any) -> int:
    from pydantic_ai.messages import ModelMessagesTypeAdapter

    return len(ModelMessagesTypeAdapter.dump_json([message]))
