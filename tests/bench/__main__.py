"""Runs every benchmark, or those named: `make bench ARGS="startup step"`."""

import importlib
import pkgutil
import sys
from pathlib import Path


def main() -> int:
    """Print each benchmark's table; the exit code says whether all of them ran."""
    found = sorted(m.name for m in pkgutil.iter_modules([str(Path(__file__).parent)]))
    names = [n for n in found if not n.startswith("_")]
    chosen = sys.argv[1:] or names
    unknown = [name for name in chosen if name not in names]
    if unknown:
        print(f"no benchmark {unknown[0]!r}; there are: {', '.join(names)}", file=sys.stderr)
        return 2
    for name in chosen:
        print(f"\n== {name}", flush=True)
        importlib.import_module(f"tests.bench.{name}").main()
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
