"""Lays files over one another: `include:` joins files of one spec, an environment patches it.

Values keep the place that set them, so that faults and `plan` can name it.
"""

from __future__ import annotations

import re
from pathlib import Path as File

from .faults import Faults, Path, Place
from .reading import DEPTH_MAX, Value, read

FILES_MAX = 50
"""Files one spec may be made of."""
SECTIONS = ("agents", "tools", "models", "secrets", "services", "images")
"""Top-level mappings to which each included file may add names of its own."""
_ENV = re.compile(r"[a-z0-9][a-z0-9_-]{0,31}")


def read_layers(path: File, shown: str, env: str | None, faults: Faults) -> Value | None:
    """The whole spec as one mapping: the file, what it includes, and the environment's patch."""
    root = read(path, shown, faults)
    if root is None:
        return None
    folder = path.parent
    prefix = shown[: len(shown) - len(path.name)]
    trail = {path.resolve()}
    root = _include(root, folder, prefix, (path.resolve(),), trail, faults)
    if env is None:
        return root
    patch = _read_env(path, prefix, env, faults)
    return root if patch is None else overlay(root, patch)


def overlay(base: Value, patch: Value) -> Value:
    """`base` changed as JSON Merge Patch says (RFC 7396): null removes, mappings go deeper."""
    if not isinstance(patch.data, dict):
        return patch
    merged = dict(base.data) if isinstance(base.data, dict) else {}
    for key, value in patch.data.items():
        if value.data is None:
            merged.pop(key, None)
        else:
            merged[key] = overlay(merged.get(key, Value(None, value.place)), value)
    place = base.place if isinstance(base.data, dict) else patch.place
    return Value(merged, place)


def _read_env(path: File, prefix: str, env: str, faults: Faults) -> Value | None:
    if not _ENV.fullmatch(env):
        faults.add(Place("--env"), (), f"{env!r} is not the name of an environment")
        return None
    name = f"{path.stem}.{env}{path.suffix}"
    if not (path.parent / name).exists():
        pattern = f"{path.stem}.*{path.suffix}"
        found = [p.name[len(path.stem) + 1 : -len(path.suffix)] for p in path.parent.glob(pattern)]
        remedy = f"Known: {', '.join(sorted(found))}" if found else f"Write {name}"
        faults.add(Place(prefix + name), (), "does not exist", remedy)
        return None
    patch = read(path.parent / name, prefix + name, faults)
    if patch is not None and isinstance(patch.data, dict) and "include" in patch.data:
        place = patch.data["include"].place
        faults.add(place, ("include",), "an environment's file cannot include others")
        return None
    return patch


def _include(
    root: Value, folder: File, prefix: str, above: tuple[File, ...], seen: set[File], faults: Faults
) -> Value:
    """Join `root` with every file it includes; paths are relative to the main file's folder."""
    assert isinstance(root.data, dict)  # noqa: S101 - `read` returns mappings only
    data = dict(root.data)
    listed = data.pop("include", None)
    joined = Value(data, root.place)
    for index, item in enumerate(_names(listed, faults)):
        where: Path = ("include", index)
        name = str(item.data)
        file = (folder / name).resolve()
        if file in above:
            faults.add(item.place, where, f"{name} includes itself, in a circle", "Remove it")
        elif file in seen:
            faults.add(item.place, where, f"{name} is included twice", "Remove one of them")
        elif len(seen) >= FILES_MAX or len(above) >= DEPTH_MAX:
            faults.add(item.place, where, f"a spec may be made of {FILES_MAX} files at most")
        elif not file.is_file():
            faults.add(item.place, where, f"there is no file {name} in the spec's folder")
        else:
            seen.add(file)
            part = read(folder / name, prefix + name, faults)
            if part is not None:
                part = _include(part, folder, prefix, (*above, file), seen, faults)
                joined = _join(joined, part, faults)
    return joined


def _names(listed: Value | None, faults: Faults) -> tuple[Value, ...]:
    if listed is None:
        return ()
    items = listed.data if isinstance(listed.data, tuple) else ()
    if not items or not all(isinstance(item.data, str) and item.data for item in items):
        faults.add(listed.place, ("include",), "must be a list of file names")
        return ()
    return items


def _join(base: Value, part: Value, faults: Faults) -> Value:
    """Both together; a name or key that both set is a fault, so that order never matters."""
    assert isinstance(base.data, dict)  # noqa: S101 - as above
    assert isinstance(part.data, dict)  # noqa: S101
    merged = dict(base.data)
    for key, value in part.data.items():
        mine = merged.get(key)
        if mine is None:
            merged[key] = value
        elif key == "seawall" and mine.data == value.data:
            continue
        elif key in SECTIONS and isinstance(mine.data, dict) and isinstance(value.data, dict):
            both = dict(mine.data)
            for name, entry in value.data.items():
                if name in both:
                    _conflict(entry, both[name], (key, name), faults)
                else:
                    both[name] = entry
            merged[key] = Value(both, mine.place)
        else:
            _conflict(value, mine, (key,), faults)
    return Value(merged, base.place)


def _conflict(new: Value, old: Value, path: Path, faults: Faults) -> None:
    fault = f"is set in two files, first at {old.place}"
    faults.add(new.place, path, fault, "Keep one, or use an environment's file to change it")
