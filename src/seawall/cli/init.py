"""`seawall init`: writes a small mesh that works at once, offline, and is meant to be changed.

The files are those under `template/`, copied as they are but for the mesh's name. Never overwrites.
"""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Iterator
from pathlib import Path

from seawall.errors import OperatorError

TEMPLATE = Path(__file__).parent / "template"
NAME_IN_TEMPLATE = "name: my-mesh"
RENAMED = {"gitignore": ".gitignore"}  # under its own name it would act on Seawall's repository
NAME_MAX = 40


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument(
        "folder", metavar="DIR", nargs="?", default=".", help="where to write (default: here)"
    )
    parser.add_argument("--json", action="store_true", help="print the written paths as JSON")


def run(args: argparse.Namespace) -> int:
    """Write the example and say what to do next."""
    folder = Path(args.folder)
    written = write(folder)
    if args.json:
        print(json.dumps({"folder": str(folder), "files": [path.as_posix() for path in written]}))
        return 0
    for path in written:
        print(f"  {path.as_posix()}")
    go = "" if folder == Path() else f"cd {folder} && "
    print(f'\nNext: {go}seawall dev --offline "How long is this sentence?"')
    return 0


def write(folder: Path) -> list[Path]:
    """Write the example into `folder`; returns the files' paths.

    Raises OperatorError, before anything is written, if a file is in the way.
    """
    files = {folder / target: text for target, text in _template(_mesh_name(folder))}
    in_the_way = [path for path in files if path.exists() or path.is_symlink()]
    if in_the_way:
        raise OperatorError(
            str(in_the_way[0]),
            "is already there, and init never overwrites",
            "Choose an empty folder: seawall init DIR",
        )
    try:
        for path, text in files.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("x", encoding="utf-8") as file:  # "x": also refuses a race
                file.write(text)
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise OperatorError(
            str(folder), f"cannot be written: {reason}", "Choose another folder"
        ) from error
    return list(files)


def _template(name: str) -> Iterator[tuple[Path, str]]:
    for path in sorted(TEMPLATE.rglob("*")):
        if not path.is_file() or "__pycache__" in path.parts:
            continue
        target = path.relative_to(TEMPLATE)
        text = path.read_text(encoding="utf-8")
        if target.name == "seawall.yaml":
            text = text.replace(NAME_IN_TEMPLATE, f"name: {name}")
        yield target.with_name(RENAMED.get(target.name, target.name)), text


def _mesh_name(folder: Path) -> str:
    """The folder's name, as a mesh may be called: lower case, digits, single hyphens."""
    words = re.sub(r"[^a-z0-9]+", "-", folder.resolve().name.lower()).strip("-")[:NAME_MAX]
    return words.rstrip("-") if re.match(r"[a-z]", words) else "my-mesh"
