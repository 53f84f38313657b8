"""`seawall up`: builds what is missing, starts the mesh, returns when every agent can take work."""

from __future__ import annotations

import argparse
import sys
import time

from . import on_docker

EXIT_INTERRUPTED = 130
CHANGES_SHOWN_MAX = 12


def configure(parser: argparse.ArgumentParser) -> None:
    """Describe the command line."""
    on_docker.add_arguments(parser)
    on_docker.add_choices(parser)
    parser.add_argument("--no-build", action="store_true",
                        help="use images that are there, or pull them from --registry")  # fmt: skip


def run(args: argparse.Namespace) -> int:
    """Bring the mesh up."""
    began = time.monotonic()
    engine = on_docker.engine(args)
    lines = on_docker.Lines()
    chosen = on_docker.options(args, build=not args.no_build, progress=lines)
    try:
        changes = engine.up(chosen)
    except KeyboardInterrupt:
        lines.clear()
        print(f"seawall up: interrupted while {lines.last}. What was built and started stays: "
              "`seawall up` goes on, `seawall down` removes it.", file=sys.stderr)  # fmt: skip
        return EXIT_INTERRUPTED
    finally:
        lines.clear()
    words = {"create": "created", "recreate": "replaced", "start": "started", "scale": "scaled",
             "remove": "removed"}  # fmt: skip
    known = [c for c in changes if c.action != "create"]
    for change in known[:CHANGES_SHOWN_MAX]:
        print(f"  {words[change.action]} {change.service}: {change.why}", file=sys.stderr)
    if len(known) > CHANGES_SHOWN_MAX:
        print(f"  and {len(known) - CHANGES_SHOWN_MAX} more", file=sys.stderr)
    count = sum(c.state == "ready" for c in engine.containers())
    took = time.monotonic() - began
    said = "" if changes else "; nothing had changed"
    where = engine.published() or "not published"
    print(f"{engine.name}: {count} containers ready in {took:.1f} s{said}; the door is {where}")
    return 0
