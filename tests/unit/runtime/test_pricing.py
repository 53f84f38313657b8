"""A growing history is weighed once; the estimate is that of weighing it all."""

from typing import Any

import pytest
from pydantic_ai.messages import ModelRequest, ModelResponse, TextPart, UserPromptPart

from seawall.runtime import pricing
from seawall.runtime.pricing import Meter
from seawall.wire.messages import Usage
from seawall.wire.profiles import ModelProfile

MODEL = ModelProfile(
    ref="anthropic:x",
    output_tokens_max=10,
    usd_micros_per_mtok_input=1_000_000,
    usd_micros_per_mtok_output=2_000_000,
)


def history(turns: int) -> list[Any]:
    found: list[Any] = []
    for n in range(turns):
        found.append(ModelRequest(parts=[UserPromptPart(f"question {n}")]))
        found.append(ModelResponse(parts=[TextPart(f"answer {n}")]))
    return [*found, ModelRequest(parts=[UserPromptPart("last")])]


def test_each_message_is_weighed_once_but_the_newest(monkeypatch: pytest.MonkeyPatch) -> None:
    weighed: list[object] = []
    weigh = pricing._weigh

    def noting(message: object) -> int:
        weighed.append(message)
        return weigh(message)

    monkeypatch.setattr(pricing, "_weigh", noting)
    messages, meter = history(20), Meter(MODEL)
    for end in range(1, len(messages) + 1, 2):
        meter.estimate(messages[:end])
    assert len(weighed) <= len(messages) * 2


def test_an_estimate_does_not_depend_on_what_was_weighed_before() -> None:
    messages, meter = history(5), Meter(MODEL)
    for end in range(1, len(messages) + 1):
        assert meter.estimate(messages[:end]) == Meter(MODEL).estimate(messages[:end])
    shorter = [messages[0], *history(1)]  # compacted: other messages in the same places
    assert meter.estimate(shorter) == Meter(MODEL).estimate(shorter)
    assert meter.estimate(messages) == Meter(MODEL).estimate(messages)


def test_the_newest_message_may_still_grow() -> None:
    messages, meter = history(1), Meter(MODEL)
    before = meter.estimate(messages)
    messages[-1].parts = [UserPromptPart("x" * 300)]
    after = meter.estimate(messages)
    assert after.input_tokens > before.input_tokens + 80


def test_a_response_costs_what_the_provider_reported() -> None:
    reported = {"usage": {"input_tokens": 1000, "output_tokens": 10}}
    used = Usage(input_tokens=1000, output_tokens=10, usd_micros=1020, turns=1)
    assert Meter(MODEL).measure(reported) == used
