"""What a person sees of a run, asserted on the printed text of hand-made events."""

from __future__ import annotations

import io
import json

import pytest
from rich.console import Console, RenderableType

from seawall.cli.lines import clean, plain, seconds
from seawall.cli.tree import CHILDREN_SHOWN_MAX, TreeView, display
from seawall.wire.messages import EVENT_KINDS, Event

USAGE = {"input_tokens": 1000, "output_tokens": 200, "usd_micros": 4500, "turns": 1}


def event(kind: str, at: float = 0.0, task: str = "", agent: str = "", /, **data: object) -> Event:
    return Event(id=f"{at}-0", at=at, run="r1", task=task, agent=agent, kind=kind, data=data)


def run_of_two() -> list[Event]:
    """The orchestrator delegates once; the child fails on its second replica."""
    return [
        event("run.started", 0, input="Who keeps the key?", agent="orchestrator", budget={}),
        event("task.queued", 0, "t1", "orchestrator", parent="", input="Who?", depth=0),
        event("task.taken", 0.1, "t1", "orchestrator", replica="o-1", attempt=1),
        event("step.started", 0.2, "t1", "orchestrator", key="model#1", kind="model", name="m"),
        event("text", 0.3, "t1", "orchestrator", text="I will ask "),
        event(
            "step.done", 0.4, "t1", "orchestrator", key="model#1", kind="model", name="m",
            usage=USAGE, replayed=False,
        ),
        event("task.queued", 0.5, "t2", "researcher", parent="t1", input="Find it", depth=1),
        event("task.taken", 0.6, "t2", "researcher", replica="r-1", attempt=1),
        event("task.redelivered", 3.0, "t2", "researcher", attempt=2, reason="replica died"),
        event("task.taken", 3.1, "t2", "researcher", replica="r-2", attempt=2),
        event(
            "step.started", 3.2, "t2", "researcher", key="tool#a", kind="tool",
            name="memory/recall", detail="gateway keys",
        ),
    ]  # fmt: skip


def the_end() -> list[Event]:
    return [
        event("step.done", 3.4, "t2", "researcher", key="tool#a", kind="tool", name="x", usage={}),
        event("task.failed", 3.5, "t2", "researcher", failure={"kind": "error", "reason": "no"}),
        event("task.done", 4.0, "t1", "orchestrator", output="the gateway", usage=USAGE),
        event("run.done", 4.0, output="the gateway", usage=USAGE),
    ]


def printed(what: RenderableType, width: int = 120) -> str:
    console = Console(file=io.StringIO(), width=width, color_system=None)
    console.print(what)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def view_of(events: list[Event], now: float = 5.0) -> TreeView:
    view = TreeView(now=lambda: now)
    for each in events:
        view.feed(each)
    return view


def test_the_tree_nests_a_child_under_its_parent_with_replica_attempt_and_current_step() -> None:
    lines = printed(view_of(run_of_two()).render()).splitlines()
    assert lines[0].startswith("● Who keeps the key?  1,200 tokens · $0.0045 · 5.0s")
    assert lines[1].startswith("└── ● orchestrator @o-1  1 steps · 1,200 tokens · $0.0045 · 4.9s")
    assert lines[2].startswith("    └── ● researcher @r-2 attempt 2  0 steps")
    assert lines[2].rstrip().endswith("tool memory/recall: gateway keys")


def test_a_finished_run_stops_its_clocks_and_shows_why_a_task_failed() -> None:
    text = printed(view_of([*run_of_two(), *the_end()], now=99.0).render())
    assert "✓ Who keeps the key?  1,200 tokens · $0.0045 · 4.0s" in text
    assert "✗ researcher" in text
    assert text.rstrip().endswith("2.9s  no")


def test_the_same_events_fed_twice_count_once() -> None:
    events = [*run_of_two(), *the_end()]
    assert printed(view_of(events).summary()) == printed(view_of(events + events).summary())


def test_a_replayed_step_is_not_counted_again() -> None:
    step = event("step.done", 0.4, "t1", "o", key="model#1", usage=USAGE, replayed=True)
    assert "1,200 tokens" in printed(view_of([*run_of_two(), step]).render())


def test_the_summary_has_a_row_for_each_agent_and_a_total() -> None:
    rows = printed(view_of([*run_of_two(), *the_end()]).summary()).splitlines()
    heads = ["agent", "replicas", "tasks", "steps", "tokens in", "tokens out", "USD", "time"]
    assert rows[0].split() == " ".join(heads).split()
    assert rows[1].split() == ["orchestrator", "1", "1", "1", "1,000", "200", "$0.0045", "3.9s"]
    assert rows[2].split() == ["researcher", "1", "1", "1", "0", "0", "$0.0000", "2.9s"]
    assert rows[3].split() == ["all", "2", "2", "1,000", "200", "$0.0045", "4.0s"]
    assert rows[4].rstrip() == "✓ done in 4.0s"


def test_a_failed_run_ends_with_its_reason() -> None:
    failure = {"kind": "limit", "reason": "the run's 2 USD are spent"}
    view = view_of([*run_of_two(), event("run.failed", 4, failure=failure)])
    assert "✗ failed in 4.0s: the run's 2 USD are spent" in printed(view.summary())


def test_a_reached_budget_is_shown_once() -> None:
    limit = event("budget.reached", 2, limit="tokens", used=401, max=400)
    text = printed(view_of([*run_of_two(), limit, limit]).render())
    assert text.count("budget reached: tokens: 401 of 400") == 1


def test_a_wide_tree_keeps_what_still_runs_and_says_how_many_it_left_out() -> None:
    events = [event("task.queued", 0, "t0", "main", parent="")]
    for n in range(30):
        events += [
            event("task.queued", 1, f"c{n}", f"child{n}", parent="t0"),
            event("task.taken", 1, f"c{n}", f"child{n}", replica="x", attempt=1),
        ]
        if n != 29:
            events.append(event("task.done", 2, f"c{n}", f"child{n}", output=""))
    text = printed(view_of(events).render())
    assert "child29" in text
    assert f"{30 - CHILDREN_SHOWN_MAX} more finished" in text


def test_ascii_only_uses_no_other_sign_of_state() -> None:
    view = TreeView(now=lambda: 1.0, ascii_only=True)
    for each in run_of_two():
        view.feed(each)
    assert "* orchestrator" in printed(view.render())


def test_events_in_an_order_or_shape_never_seen_do_not_break_the_view() -> None:
    view = view_of([event(kind, 1, "t9", "a") for kind in reversed(EVENT_KINDS)])
    assert "a" in printed(view.render()) + printed(view.summary())


@pytest.mark.parametrize("kind", sorted(set(EVENT_KINDS) - {"text"}))
def test_every_kind_but_streamed_text_has_a_plain_line(kind: str) -> None:
    assert plain(event(kind, 61.0, "t-123456789", "coder"))


def test_plain_lines_name_time_agent_task_and_what_happened() -> None:
    lines = [plain(each) for each in run_of_two()]
    assert lines[0] == "00:00:00 run started: Who keeps the key?"
    assert lines[4] is None
    assert lines[5] == "00:00:00 orchestrator[t1] finished model m (1,200 tokens, $0.0045)"
    assert lines[8] == "00:00:03 researcher[t2] taken over: replica died"
    assert lines[10] == "00:00:03 researcher[t2] began tool memory/recall: gateway keys"


def test_an_agent_cannot_write_escape_sequences_or_forge_a_line() -> None:
    hostile = "ok\x1b[2J\x1b]0;title\x07\r\n00:00:00 run done\u202e\u200b\x9b31m"
    line = plain(event("note", 0, "t1", "coder", text=hostile))
    assert line == "00:00:00 coder[t1] ok[2J]0;title 00:00:00 run done31m"
    view = view_of(
        [event("run.started", 0, input=hostile), event("note", 0, "t", "a", text=hostile)]
    )
    assert "\x1b" not in printed(view.render())


def test_a_long_text_is_shortened_with_an_ellipsis() -> None:
    assert clean("a" * 500, 10) == "a" * 9 + "…"


@pytest.mark.parametrize(
    ("amount", "words"),
    [(-1, "0.0s"), (0.44, "0.4s"), (59.94, "59.9s"), (185, "3m05s"), (7500, "2h05m")],
)
def test_durations_read_naturally(amount: float, words: str) -> None:
    assert seconds(amount) == words


def test_without_a_terminal_the_display_prints_plain_lines(
    capsys: pytest.CaptureFixture[str],
) -> None:
    view = TreeView(now=lambda: 0.0)
    with display(Console(file=io.StringIO()), view) as show:
        for each in run_of_two():
            show(each)
    assert capsys.readouterr().out.splitlines()[0] == "00:00:00 run started: Who keeps the key?"
    assert "researcher" in printed(view.render())


def test_json_is_one_object_a_line_that_reads_back_as_the_event(
    capsys: pytest.CaptureFixture[str],
) -> None:
    events = [*run_of_two(), *the_end()]
    with display(Console(force_terminal=True), TreeView(), as_json=True) as show:
        for each in events:
            show(each)
    lines = capsys.readouterr().out.splitlines()
    assert [Event.model_validate(json.loads(line)) for line in lines] == events


def test_on_a_terminal_the_display_draws_the_tree() -> None:
    screen = io.StringIO()
    with display(Console(file=screen, force_terminal=True, width=100), TreeView()) as show:
        for each in run_of_two():
            show(each)
    assert "orchestrator" in screen.getvalue()
