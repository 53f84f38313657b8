"""Loads a spec: reads its files, checks each value, then what they say about one another.

Every fault is raised at once. Reads no secret and runs nothing.
"""

from __future__ import annotations

import os
from pathlib import Path as File
from typing import Any

from pydantic import ValidationError

from . import wording
from .checks import Known, check
from .faults import Faults, Path, Place
from .layers import read_layers
from .model import Home, Spec
from .reading import Value

PRUNINGS_MAX = 20


def load(path: File, env: str | None = None) -> Spec:
    """The checked spec, with `seawall.ENV.yaml` laid over it when `env` is given.

    Raises:
        SpecError: with every fault, each a line `file:line: path: fault. remedy.`
    """
    faults = Faults()
    root = read_layers(path, os.fspath(path), env, faults)
    if root is None:
        faults.raise_any()
        raise AssertionError("a file that cannot be read has a fault")
    places: dict[Path, Place] = {}
    data = _plain(root, (), places)
    home = Home(path.absolute().parent, os.fspath(path), env, places)
    spec = _validate(data, home, faults)
    if spec is not None:
        check(spec, Known.of(data), faults)
    faults.raise_any()
    assert spec is not None  # noqa: S101 - no spec without a fault
    return spec


def _plain(value: Value, path: Path, places: dict[Path, Place]) -> Any:
    """The value without its places, which are gathered by path."""
    places[path] = value.place
    if isinstance(value.data, dict):
        return {key: _plain(item, (*path, key), places) for key, item in value.data.items()}
    if isinstance(value.data, tuple):
        return tuple(_plain(v, (*path, i), places) for i, v in enumerate(value.data))
    return value.data


def _validate(data: Any, home: Home, faults: Faults) -> Spec | None:
    """The spec; with faults noted, one without the faulty parts, to check the rest as well."""
    for attempt in range(PRUNINGS_MAX):
        try:
            return Spec.model_validate(data).at(home)
        except ValidationError as error:
            if attempt == 0:  # later ones only say what the pruning took away
                for fault in wording.faults(error, home, data):
                    faults.add(fault.place, fault.path, fault.fault, fault.remedy)
            for path in {wording.plain_path(e["loc"]) for e in error.errors()}:
                data = _without(data, path)
    return None


def _without(data: Any, path: Path) -> Any:
    """A copy without what is at `path`, or a stand-in where a spec needs something."""
    agents = data.get("agents")
    first = next(iter(agents), "") if isinstance(agents, dict) else ""
    stand_ins = {"seawall": 1, "name": "unnamed", "main": first}
    if len(path) == 1 and path[0] in stand_ins:
        return {**data, path[0]: stand_ins[path[0]]}
    while path and not _holds(data, path):
        path = path[:-1]  # a missing key is a fault of what should hold it
    return _drop(data, path) if path else data


def _drop(data: Any, path: Path) -> Any:
    head, rest = path[0], path[1:]
    if isinstance(data, dict):
        if not rest:
            return {key: value for key, value in data.items() if key != head}
        return {k: _drop(v, rest) if k == head else v for k, v in data.items()}
    if isinstance(data, tuple):
        if not rest:
            return tuple(value for index, value in enumerate(data) if index != head)
        return tuple(_drop(v, rest) if i == head else v for i, v in enumerate(data))
    return data


def _holds(data: Any, path: Path) -> bool:
    """Whether there is something at `path`."""
    for part in path:
        try:
            data = data[part]
        except (KeyError, IndexError, TypeError):
            return False
    return True
