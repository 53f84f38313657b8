"""What a person sees while a run works: the tree of tasks, a summary, or plain lines.

Made from `wire.messages.Event` alone, so a run in this process and a run on a remote mesh look the
same. Knows nothing of engines. Everything shown passes `clean`, because agents wrote it.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text
from rich.tree import Tree

from seawall.cli.lines import clean, dollars, json_line, plain, seconds, step_words, tokens
from seawall.wire.messages import Event, Usage

CHILDREN_SHOWN_MAX = 12
TEXT_KEPT_MAX = 400
REFRESHES_PER_SECOND = 8

ICONS = {
    "queued": ("○", "."), "running": ("●", "*"), "done": ("✓", "+"),
    "failed": ("✗", "x"), "cancelled": ("⊘", "-"), "dead": ("☠", "!"),
}  # fmt: skip
"""State to its sign, and to the same in ASCII for terminals without UTF-8."""
STYLES = {
    "queued": "dim", "running": "cyan", "done": "green",
    "failed": "red", "cancelled": "yellow", "dead": "bold red",
}  # fmt: skip


@dataclass
class _Task:
    """One task as the events so far tell it."""

    agent: str
    parent: str = ""
    state: str = "queued"
    replica: str = ""
    attempt: int = 1
    doing: str = ""
    text: str = ""
    failure: str = ""
    started: float | None = None
    ended: float | None = None
    steps: dict[str, Usage] = field(default_factory=dict)
    total: Usage | None = None

    def usage(self) -> Usage:
        """The keeper's total once there is one, until then the sum of the steps seen."""
        return self.total if self.total is not None else add(self.steps.values())


def add(parts: Any) -> Usage:
    """The sum of several usages."""
    parts = list(parts)
    return Usage(**{name: sum(getattr(p, name) for p in parts) for name in Usage.model_fields})


class TreeView:
    """The tree of one run; the same event fed twice is harmless."""

    def __init__(self, now: Callable[[], float] = time.time, *, ascii_only: bool = False) -> None:
        self._now = now
        self._ascii = ascii_only
        self._tasks: dict[str, _Task] = {}
        self._run: dict[str, Any] = {}
        self._state = "queued"
        self._started: float | None = None
        self._ended: float | None = None
        self._limits: list[str] = []

    def feed(self, event: Event) -> None:
        """Take one event in."""
        subject = event.kind.partition(".")[0]
        if subject == "run":
            self._feed_run(event)
        elif subject == "budget":
            limit = "{limit}: {used} of {max}".format_map(_Missing(event.data))
            self._limits = [*self._limits, limit] if limit not in self._limits else self._limits
        elif event.task:
            task = self._tasks.setdefault(event.task, _Task(agent=event.agent))
            task.agent = event.agent or task.agent
            _feed_task(task, event)

    def _feed_run(self, event: Event) -> None:
        self._run.update(event.data)
        if event.kind == "run.started":
            self._state, self._started = "running", event.at
        else:
            self._state, self._ended = event.kind.partition(".")[2], event.at

    def render(self) -> RenderableType:
        """The tree as it stands."""
        root = Tree(self._title(), guide_style="dim")
        known = set(self._tasks)
        tops = [key for key, task in self._tasks.items() if task.parent not in known]
        self._grow(root, tops)
        for limit in self._limits:
            root.add(Text(f"budget reached: {clean(limit)}", style="yellow"))
        return root

    def summary(self) -> RenderableType:
        """A table of what each agent did, and one closing line."""
        table = Table(box=None, pad_edge=False, header_style="bold", show_footer=True)
        total = self._usage()
        steps = sum(len(task.steps) for task in self._tasks.values())
        table.add_column("agent", footer="all")
        for head, foot in (
            ("replicas", ""), ("tasks", str(len(self._tasks))), ("steps", str(steps)),
            ("tokens in", f"{total.input_tokens:,}"), ("tokens out", f"{total.output_tokens:,}"),
            ("USD", dollars(total.usd_micros)), ("time", self._elapsed()),
        ):  # fmt: skip
            table.add_column(head, footer=foot, justify="right", footer_style="bold")
        for agent in dict.fromkeys(task.agent for task in self._tasks.values()):
            table.add_row(*self._agent_row(agent))
        return Group(table, self._closing())

    def _agent_row(self, agent: str) -> list[str]:
        tasks = [task for task in self._tasks.values() if task.agent == agent]
        used = add(task.usage() for task in tasks)
        replicas = {task.replica for task in tasks if task.replica}
        return [
            clean(agent),
            str(len(replicas)),
            str(len(tasks)),
            str(sum(len(task.steps) for task in tasks)),
            f"{used.input_tokens:,}",
            f"{used.output_tokens:,}",
            dollars(used.usd_micros),
            seconds(sum(self._seconds(task) for task in tasks)),
        ]

    def _closing(self) -> Text:
        text = Text(f"{self._icon(self._state)} {self._state}", style=STYLES.get(self._state, ""))
        text.append(f" in {self._elapsed()}", style="default")
        failure = self._run.get("failure")
        if isinstance(failure, dict):
            text.append(f": {clean(failure.get('reason', ''))}", style="default")
        return text

    def _title(self) -> Text:
        text = Text(no_wrap=True, overflow="ellipsis")
        text.append(f"{self._icon(self._state)} ", style=STYLES.get(self._state, ""))
        text.append(clean(self._run.get("input", "")) or "run", style="bold")
        text.append(f"  {self._figures(self._usage())} · {self._elapsed()}", style="dim")
        return text

    def _grow(self, branch: Tree, keys: list[str]) -> None:
        shown = self._most_telling(keys)
        for key in shown:
            under = branch.add(self._label(self._tasks[key]))
            self._grow(under, [k for k, t in self._tasks.items() if t.parent == key and k != key])
        if len(shown) < len(keys):
            branch.add(Text(f"{len(keys) - len(shown)} more finished", style="dim"))

    def _most_telling(self, keys: list[str]) -> list[str]:
        """Those still going and failed first, in their own order, so that a wide tree fits."""
        if len(keys) <= CHILDREN_SHOWN_MAX:
            return keys
        first = sorted(keys, key=lambda k: self._tasks[k].state in ("done", "queued"))
        chosen = set(first[:CHILDREN_SHOWN_MAX])
        return [key for key in keys if key in chosen]

    def _label(self, task: _Task) -> Text:
        text = Text(no_wrap=True, overflow="ellipsis")
        text.append(f"{self._icon(task.state)} ", style=STYLES.get(task.state, ""))
        text.append(clean(task.agent), style="bold")
        if task.replica:
            text.append(f" @{clean(task.replica)}", style="magenta")
        if task.attempt > 1:
            text.append(f" attempt {task.attempt}", style="yellow")
        figures = self._figures(task.usage())
        text.append(
            f"  {len(task.steps)} steps · {figures} · {seconds(self._seconds(task))}", "dim"
        )
        if task.state in ("running", "queued") and task.doing:
            text.append(f"  {task.doing}", style="cyan")
        elif task.failure:
            text.append(f"  {task.failure}", style="red")
        return text

    def _figures(self, used: Usage) -> str:
        return f"{tokens(used)} tokens · {dollars(used.usd_micros)}"

    def _usage(self) -> Usage:
        final = self._run.get("usage")
        if isinstance(final, dict):
            return Usage.model_validate(final)
        return add(task.usage() for task in self._tasks.values())

    def _icon(self, state: str) -> str:
        return ICONS.get(state, ("?", "?"))[self._ascii]

    def _elapsed(self) -> str:
        if self._started is None:
            return seconds(0.0)
        end = self._ended if self._ended is not None else self._now()
        return seconds(end - self._started)

    def _seconds(self, task: _Task) -> float:
        if task.started is None:
            return 0.0
        ends = (t for t in (task.ended, self._ended, self._now()) if t is not None)
        return max(0.0, next(ends) - task.started)


class _Missing(dict[str, Any]):
    """Lets a line be written from an event that lacks a part."""

    def __missing__(self, key: str) -> str:
        return "?"


def _feed_task(task: _Task, event: Event) -> None:
    data = event.data
    match event.kind:
        case "task.queued":
            task.parent = str(data.get("parent") or "")
        case "task.taken":
            task.state, task.replica = "running", str(data.get("replica", ""))
            task.attempt = int(data.get("attempt", 1))
            task.started = event.at if task.started is None else task.started
            task.doing = ""
        case "task.redelivered":
            task.state, task.doing = "queued", f"taken over: {clean(data.get('reason', ''))}"
        case "task.done" | "task.failed" | "task.cancelled" | "task.dead":
            _end(task, event)
        case "step.started":
            task.doing, task.text = step_words(data), ""
        case "step.done":
            task.steps[str(data.get("key", ""))] = Usage.model_validate(data.get("usage") or {})
            task.doing = ""
        case "text":
            before = "" if data.get("restart") else task.text
            task.text = (before + str(data.get("text", "")))[-TEXT_KEPT_MAX:]
            task.doing = clean(task.text)[-60:]
        case "note":
            task.doing = clean(data.get("text", ""))


def _end(task: _Task, event: Event) -> None:
    task.state, task.ended, task.doing = event.kind.partition(".")[2], event.at, ""
    if event.data.get("usage"):
        task.total = Usage.model_validate(event.data["usage"])
    failure = event.data.get("failure")
    if isinstance(failure, dict):
        task.failure = clean(failure.get("reason", ""))


@contextmanager
def display(
    console: Console, view: TreeView, *, as_json: bool = False
) -> Iterator[Callable[[Event], None]]:
    """Show a run as it goes: a live tree on a terminal, else plain lines, or JSON lines if asked.

    Yields what to call with each event; `view` has taken each of them in by the end.
    """
    if as_json or not console.is_terminal:
        words: Callable[[Event], str | None] = json_line if as_json else plain

        def line(event: Event) -> None:
            view.feed(event)
            if text := words(event):
                sys.stdout.write(text + "\n")
                sys.stdout.flush()  # a reader at the other end of a pipe follows along

        yield line
        return
    with Live(
        console=console,
        get_renderable=view.render,
        refresh_per_second=REFRESHES_PER_SECOND,
        vertical_overflow="ellipsis",
    ):
        yield view.feed
