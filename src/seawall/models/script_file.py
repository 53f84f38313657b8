"""Reads a script's YAML with the line of every part, and collects every fault in it."""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import yaml

from seawall.errors import SpecError

from .templates import Render, TemplateFault, Templates, constant

BYTES_MAX = 1024**2
NODES_MAX = 20_000
DELAY_MS_MAX = 60_000

_LOOP = re.compile(r"^\s*([A-Za-z_]\w*)\s+in\s+(.+)$", re.DOTALL)
_NOTHING = constant({})


class _Loader(yaml.SafeLoader):
    """YAML 1.2's core schema: `on`, `no`, `010` and `1:30` are text, as written."""

    yaml_implicit_resolvers: ClassVar[dict[Any, Any]] = {}  # type: ignore[misc]


for _tag, _pattern, _first in (
    ("bool", r"^(?:true|false)$", "tf"),
    ("int", r"^-?(?:0|[1-9][0-9]*)$", "-0123456789"),
    ("float", r"^-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)(?:e[-+]?[0-9]+)?$", "-0123456789"),
    ("null", r"^(?:null|~|)$", ["n", "~", ""]),
):
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(_pattern), list(_first))


@dataclass(frozen=True)
class CallLine:
    """One entry of `call:`; with a loop it makes one call for each item."""

    place: str
    tool: Render
    args: Render
    variable: str | None = None
    items: Render | None = None
    repeat: Render | None = None


@dataclass(frozen=True)
class Turn:
    """What an agent says and calls in one response."""

    place: str
    say: Render | None
    calls: tuple[CallLine, ...]
    when: Render | None
    delay_ms: float


@dataclass
class Reader:
    """One reading of one file."""

    path: Path
    faults: list[str] = field(default_factory=list)
    lines: dict[tuple[Any, ...], int] = field(default_factory=dict)
    templates: Templates = field(default_factory=Templates)

    def read(self) -> dict[str, tuple[Turn, ...]]:
        """Every agent's turns. Raises SpecError with every fault."""
        document = self._document()
        agents = self._mapping(document, (), {"agents"})
        named = self._mapping(agents.get("agents"), ("agents",), None)
        if not named and not self.faults:
            self._fault(("agents",), "no agent has turns", "Add `agents: {NAME: {turns: […]}}`")
        made = {str(name): self._agent(value, ("agents", name)) for name, value in named.items()}
        if self.faults:
            raise SpecError(self.faults)
        return made

    def _document(self) -> Any:
        try:
            raw = self.path.read_bytes()
        except OSError as error:
            reason = error.strerror or str(error)
            raise SpecError([f"{self.path}: cannot read the script: {reason}."]) from None
        if len(raw) > BYTES_MAX:
            raise SpecError([f"{self.path}: the script is larger than {BYTES_MAX} bytes."])
        try:
            loader = _Loader(raw.decode("utf-8"))
            node = loader.get_single_node()
            self._mark(node, ())
            return None if node is None else loader.construct_document(node)
        except UnicodeDecodeError:
            raise SpecError([f"{self.path}: not UTF-8 text."]) from None
        except yaml.YAMLError as error:
            raise SpecError([self._yaml_fault(error)]) from None
        except RecursionError:
            raise SpecError([f"{self.path}: nested too deeply."]) from None

    def _mark(self, node: Any, path: tuple[Any, ...]) -> None:
        if node is None:
            return
        if len(self.lines) > NODES_MAX:  # aliases that multiply end here too
            raise SpecError([f"{self.path}: more than {NODES_MAX} values. Remove some."])
        self.lines.setdefault(path, node.start_mark.line + 1)
        if isinstance(node, yaml.MappingNode):
            seen: set[str] = set()
            for key, value in node.value:
                if key.value in seen:
                    self._fault(path, f"the key {key.value!r} is there twice", "Remove one")
                seen.add(str(key.value))
                self._mark(value, (*path, key.value))
        elif isinstance(node, yaml.SequenceNode):
            for index, value in enumerate(node.value):
                self._mark(value, (*path, index))

    def _yaml_fault(self, error: yaml.YAMLError) -> str:
        mark = getattr(error, "problem_mark", None)
        line = f":{mark.line + 1}" if mark else ""
        return f"{self.path}{line}: not valid YAML: {getattr(error, 'problem', None) or error}."

    def _agent(self, value: Any, path: tuple[Any, ...]) -> tuple[Turn, ...]:
        turns = self._mapping(value, path, {"turns"}).get("turns")
        if not isinstance(turns, list) or not turns:
            self._fault((*path, "turns"), "must be a list of turns", "Write `- say: TEXT` at least")
            return ()
        return tuple(self._turn(turn, (*path, "turns", i)) for i, turn in enumerate(turns))

    def _turn(self, value: Any, path: tuple[Any, ...]) -> Turn:
        turn = self._mapping(value, path, {"say", "call", "when", "delay_ms"})
        if turn and "say" not in turn and "call" not in turn:
            self._fault(path, "neither says nor calls anything", "Add `say:` or `call:`")
        calls = turn.get("call", [])
        calls = calls if isinstance(calls, list) else [calls]
        delay = turn.get("delay_ms", 0)
        if isinstance(delay, bool) or not isinstance(delay, int | float):
            self._fault((*path, "delay_ms"), "must be a number of milliseconds")
            delay = 0
        if not 0 <= delay <= DELAY_MS_MAX:
            self._fault((*path, "delay_ms"), f"must be 0 to {DELAY_MS_MAX}, got {delay}")
        return Turn(
            place=self._place(path),
            say=self._template("text", turn.get("say"), (*path, "say")),
            calls=tuple(self._call(call, (*path, "call", i)) for i, call in enumerate(calls)),
            when=self._template("expression", turn.get("when"), (*path, "when")),
            delay_ms=delay,
        )

    def _call(self, value: Any, path: tuple[Any, ...]) -> CallLine:
        call = self._mapping(value, path, {"tool", "args", "for", "repeat"})
        if call and not isinstance(call.get("tool"), str):
            self._fault(path, "names no tool", "Add `tool: NAME`")
        args = self._mapping(call.get("args", {}), (*path, "args"), None)
        variable, items = self._loop(call.get("for"), (*path, "for"))
        repeat = call.get("repeat")
        return CallLine(
            place=self._place(path),
            tool=self._template("text", str(call.get("tool", "")), (*path, "tool")) or _NOTHING,
            args=self._args(args, (*path, "args")),
            variable=variable,
            items=items,
            repeat=None if repeat is None else self._args(repeat, (*path, "repeat")),
        )

    def _loop(self, value: Any, path: tuple[Any, ...]) -> tuple[str | None, Render | None]:
        if value is None:
            return None, None
        match = _LOOP.match(value) if isinstance(value, str) else None
        if match is None:
            self._fault(path, f"must read `NAME in EXPRESSION`, got {value!r}")
            return None, None
        return match[1], self._template("expression", match[2], path)

    def _args(self, value: Any, path: tuple[Any, ...]) -> Render:
        try:
            return self.templates.value(value)
        except TemplateFault as fault:
            self._fault(path, f"not a valid template: {fault}")
            return _NOTHING

    def _template(self, kind: str, value: Any, path: tuple[Any, ...]) -> Render | None:
        if value is None:
            return None
        if isinstance(value, bool) and kind == "expression":
            return constant(value)
        if not isinstance(value, str):
            value = str(value)
        try:
            made: Render = getattr(self.templates, kind)(value)
        except TemplateFault as fault:
            self._fault(path, f"not a valid template: {fault}")
            return None
        return made

    def _mapping(self, value: Any, path: tuple[Any, ...], keys: set[str] | None) -> dict[Any, Any]:
        if not isinstance(value, dict):
            found = "nothing" if value is None else type(value).__name__
            self._fault(path, f"must be a mapping, got {found}")
            return {}
        for key in value:
            if keys is not None and key not in keys:
                near = difflib.get_close_matches(str(key), keys, 1)
                remedy = (
                    f"Did you mean {near[0]!r}?" if near else f"Known: {', '.join(sorted(keys))}"
                )
                self._fault((*path, key), "unknown key", remedy)
        return value

    def _place(self, path: tuple[Any, ...]) -> str:
        at = path
        while at and at not in self.lines:
            at = at[:-1]
        where = "/".join(str(part + 1 if isinstance(part, int) else part) for part in path)
        line = self.lines.get(at, 1)
        return f"{self.path}:{line}: {where}" if where else f"{self.path}:{line}"

    def _fault(self, path: tuple[Any, ...], fault: str, remedy: str = "") -> None:
        end = "" if not remedy else f" {remedy}" + ("" if remedy.endswith("?") else ".")
        self.faults.append(f"{self._place(path)}: {fault}.{end}")
