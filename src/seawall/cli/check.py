"""`seawall check`: every fault of a spec at once; with `--schema`, what a spec may hold."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from seawall.cli.late import put_off


def configure(parser: argparse.ArgumentParser) -> None:
    """Describe the command line."""
    parser.add_argument("-f", "--file", type=Path, default=Path("seawall.yaml"), help="the spec")
    parser.add_argument("--env", help="lay seawall.ENV.yaml over the spec")
    parser.add_argument("--schema", action="store_true", help="print the JSON Schema and end")
    parser.add_argument("--json", action="store_true", help="print the outcome as JSON")


def run(args: argparse.Namespace) -> int:
    """Check; 0 when there is no fault, 2 when there are."""
    # Looking for pydantic plugins reads every installed package's metadata: a fifth of the time.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    put_off("importlib.metadata", "entry_points")  # and pydantic imports it for them alone
    put_off("secrets", "compare_digest")  # pydantic's SecretStr compares by it; no spec has one
    if args.schema:
        from seawall.spec.model import json_schema

        _print_json(json_schema(), indent=2)
        return 0
    from seawall.errors import SpecError

    try:
        counts = _check(args.file, args.env)
    except SpecError as error:
        if not args.json:
            raise
        _print_json({"ok": False, "faults": error.faults})
        return error.exit_code
    if args.json:
        _print_json({"ok": True, "faults": []})
    else:
        print(f"{args.file}: {counts}: no fault.")
    return 0


def _print_json(outcome: object, indent: int | None = None) -> None:
    import json  # late, as most people look at words

    print(json.dumps(outcome, indent=indent))


def _check(file: Path, env: str | None) -> str:
    """Load the spec and what it names; the plan only where it can still find a fault."""
    from seawall.spec.load import load
    from seawall.spec.sources import read

    spec = load(file, env)
    sources = read(spec, with_documents=False)
    if spec.allow_missing_controls:
        from seawall.plan.compile import compile_plan

        compile_plan(spec, sources)
    return f"{_count(len(spec.agents), 'agent')}, {_count(len(spec.tools), 'tool')}"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
