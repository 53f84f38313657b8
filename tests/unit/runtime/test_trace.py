"""One run is one trace, whoever asks; what an agent sends counts only within it."""

from __future__ import annotations

import pytest

from seawall.wire import trace


def test_steps_of_a_run_are_spans_of_one_trace() -> None:
    first, second = (trace.traceparent("run", "task", f"model#{n}") for n in (1, 2))
    assert first != second
    assert first.split("-")[1] == second.split("-")[1] == trace.trace_id("run")
    assert trace.trace_id("other") != trace.trace_id("run")


def test_what_an_agent_sends_is_kept_within_its_run() -> None:
    own = trace.traceparent("run", "task", "model#1")
    assert trace.joined(own, "run", "task") == own


@pytest.mark.parametrize(
    "sent",
    [
        "",
        "nonsense",
        trace.traceparent("another run", "task", "model#1"),
        f"00-{trace.trace_id('run')}-{'0' * 16}-01",
        trace.traceparent("run", "task") + "-more",
    ],
)
def test_anything_else_becomes_the_tasks_own_span(sent: str) -> None:
    assert trace.joined(sent, "run", "task") == trace.traceparent("run", "task")
