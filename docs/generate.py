"""Writes the reference pages that say what the code says: `docs/reference/spec.md` and `cli.md`.

`make docs` runs it; a test fails when a page is not what this would write.
"""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from seawall.cli.main import ALWAYS, COMMANDS, Command
from seawall.spec import load, units
from seawall.spec.agents import AGENT_KINDS, AgentKeys
from seawall.spec.base import Egress, HeaderAuth, Limits, QueryAuth
from seawall.spec.model import SECRET_KINDS, Budgets, ModelSettings, Service, Spec
from seawall.spec.tools import TOOL_KINDS, MemoryKeys, ProgramKeys, ToolKeys

HERE = Path(__file__).parent / "reference"
NOTE = "<!-- Written by `make docs` from the code; change it there. -->"
INCLUDE = ("`include`", "list of text", "–", "Files that are part of this spec.")
"""Resolved before the models see a spec, so none of them has it."""

Row = tuple[str, ...]


def pages() -> dict[Path, str]:
    """Each generated page and its text."""
    return {HERE / "spec.md": "\n".join(spec_page()), HERE / "cli.md": "\n".join(cli_page())}


def main() -> int:
    """Write the pages."""
    for path, text in pages().items():
        path.write_text(text, encoding="utf-8")
        sys.stdout.write(f"wrote {path.name}\n")
    return 0


def spec_page() -> Iterator[str]:
    """Every key, section by section, then the commented example of all of them."""
    yield from ("# seawall.yaml", "", NOTE, "")
    yield "Every key of the file. Durations are `30s`, `10m`, `1h30m`; sizes are `64KiB`, `512MiB`."
    yield "Paths are relative to the file's folder. `NAME` is a name you choose; a key that is not"
    yield "listed here is refused. For editors: `seawall check --schema` prints the JSON Schema."
    for title, about, rows in _sections():
        yield from ("", f"## {title}", "", about, "")
        yield from _table(("key", "type", "default", "meaning"), rows)
    text = (Path(load.__file__).parent / "reference.yaml").read_text(encoding="utf-8")
    yield from ("", "## All of it, with comments", "", "```yaml", text.rstrip(), "```", "")


def _sections() -> Iterator[tuple[str, str, list[Row]]]:
    top = [*_rows(Spec), INCLUDE]
    yield "The top of the file", "Everything else lies under one of these.", top
    yield "defaults", _doc(Spec.model_fields["defaults"].annotation), _rows_at("defaults")
    for part, field in Budgets.model_fields.items():
        yield f"budgets/{part}", _doc(field.annotation), _rows(_model(field.annotation))
    yield "agents/NAME", "Keys of every agent.", _rows(AgentKeys)
    for kind, model in AGENT_KINDS.items():
        if kind != "declared":
            yield f"agents/NAME with {kind}", _doc(model), _rows(model, without=AgentKeys)
    budget = AgentKeys.model_fields["budget"].annotation
    yield "agents/NAME/budget", _doc(budget), _rows(_model(budget))
    yield "tools/NAME", "Keys of every tool.", _rows(ToolKeys)
    for kind, tool in TOOL_KINDS.items():
        yield f"tools/NAME with {kind}", _doc(tool), _rows(tool, without=ToolKeys, last=ProgramKeys)
    yield "tools/NAME/memory", _doc(MemoryKeys), _rows(MemoryKeys)
    yield "egress", f"{_doc(Egress)} In an agent's or tool's list `egress`.", _rows(Egress)
    yield "auth with header", _doc(HeaderAuth), _rows(HeaderAuth)
    yield "auth with query", _doc(QueryAuth), _rows(QueryAuth)
    yield "limits", _doc(Limits), _rows(Limits)
    yield "models/NAME", _doc(ModelSettings), _rows(ModelSettings)
    prices = _model(ModelSettings.model_fields["prices"].annotation)
    yield "models/NAME/prices", _doc(prices), _rows(prices)
    for kind, secret in SECRET_KINDS.items():
        yield f"secrets/NAME with {kind}", _doc(secret), _rows(secret)
    yield "services/NAME", f"{_doc(Service)} Or in short: `host:port`.", _rows(Service)


def _rows_at(key: str) -> list[Row]:
    return _rows(_model(Spec.model_fields[key].annotation))


def _rows(
    model: type[BaseModel],
    without: type[BaseModel] = BaseModel,
    last: type[BaseModel] = BaseModel,
) -> list[Row]:
    """A row for each key, but for those of `without`; those of `last` come last."""
    names = [n for n in model.model_fields if n not in without.model_fields]
    names.sort(key=lambda n: n in last.model_fields and last is not BaseModel)
    return [_row(name, model.model_fields[name]) for name in names]


def _row(name: str, field: FieldInfo) -> Row:
    kind = _type(field.annotation, field.metadata)
    return f"`{name}`", kind, _default(field, kind), str(field.description)


def _default(field: FieldInfo, kind: str) -> str:
    value = field.get_default(call_default_factory=True, validated_data={})
    if value is PydanticUndefined:
        return "required"
    if isinstance(value, BaseModel):
        return "its defaults"
    if value is None or value in ("", (), {}):
        return "–"
    if kind == "duration":
        return f"`{value / 60:g}m`" if value >= 120 else f"`{value:g}s`"
    if kind == "size":
        return f"`{value // 1024**2}MiB`" if value >= 1024**2 else f"`{value // 1024}KiB`"
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


_WORDS: dict[Any, str] = {
    units.Seconds: "duration", units.Bytes: "size", units.Name: "name", units.Host: "host",
    units.HostPattern: "host",
    units.SecretName: "name of a secret", units.Url: "URL", units.Port: "port",
    units.Text: "text", str: "text", bool: "true or false", int: "whole number", float: "number",
}  # fmt: skip


def _type(annotation: Any, metadata: list[Any]) -> str:
    """The type in words. Pydantic keeps what was `Annotated` at the top in `metadata`."""
    for known, word in _WORDS.items():
        extra = getattr(known, "__metadata__", ())
        told = extra[0] if extra else None
        if annotation == known or (told is not None and told in metadata):
            return word + _bounds(metadata if word in ("whole number", "number") else [])
    origin, args = get_origin(annotation), get_args(annotation)
    if origin in (Union, UnionType):
        kinds = [_type(a, metadata) for a in args if a is not NoneType]
        return kinds[0] if len(set(kinds)) == 1 else "mapping"
    if origin is Annotated:
        return _type(args[0], list(args[1:]))
    if origin is Literal:
        return " or ".join(f"`{a}`" for a in args)
    if origin is tuple:
        return f"list of {_type(args[0], [])}"
    if origin is dict:
        held = _type(args[1], [])
        return "mappings, by name" if held == "mapping" else f"mapping of {held}"
    return "mapping"


def _bounds(metadata: list[Any]) -> str:
    words = [
        f"{word} {getattr(item, key):,.10g}"
        for item in metadata
        for key, word in (("gt", "above"), ("ge", "from"), ("le", "to"))
        if getattr(item, key, None) is not None
    ]
    return "".join(f", {word}" for word in words)


def _model(annotation: Any) -> type[BaseModel]:
    """The model that a key holds."""
    found = [a for a in (annotation, *get_args(annotation)) if isinstance(a, type)]
    return next(a for a in found if issubclass(a, BaseModel))


def _doc(model: Any) -> str:
    return (_model(model).__doc__ or "").strip()


def cli_page() -> Iterator[str]:
    """Every command with its arguments and the codes it may end with."""
    yield from ("# The command line", "", NOTE, "")
    yield "`seawall COMMAND --help` tells the same. `--debug`, before or after any command, shows"
    yield "the traceback of an error. [What each exit code means](exit-codes.md)."
    for command in COMMANDS:
        yield from _command(command)
    yield ""


def _command(command: Command) -> Iterator[str]:
    parser = argparse.ArgumentParser(prog=f"seawall {command.name}", add_help=False)
    importlib.import_module(command.module).configure(parser)
    always = f"as every command also {', '.join(map(str, ALWAYS))}"
    words = [_usage(action) for action in parser._actions]
    yield from ("", f"## seawall {command.name}", "", f"{command.summary}.", "")
    yield f"    seawall {' '.join([command.name, *words])}"
    yield ""
    rows = [(f"`{_name(action)}`", str(action.help or "")) for action in parser._actions]
    if rows:
        yield from _table(("argument", "meaning"), rows)
        yield ""
    yield f"Exit codes: {', '.join(map(str, command.ends))}; {always}."


def _usage(action: argparse.Action) -> str:
    word = _name(action).partition(", ")[2] or _name(action)
    return word if action.required else f"[{word}]"


def _name(action: argparse.Action) -> str:
    value = str(action.metavar or action.dest.upper())
    if not action.option_strings:
        return value
    flags = ", ".join(action.option_strings)
    return flags if action.nargs == 0 else f"{flags} {value}"


def _table(head: Row, rows: Sequence[Row]) -> Iterator[str]:
    yield f"| {' | '.join(head)} |"
    yield f"|{'---|' * len(head)}"
    for row in rows:
        yield f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |"


if __name__ == "__main__":
    raise SystemExit(main())
