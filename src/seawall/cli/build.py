"""`seawall build`: makes the mesh's images, and with `--push` sends them to a registry."""

from __future__ import annotations

import argparse
import sys

from . import on_docker


def configure(parser: argparse.ArgumentParser) -> None:
    """Describe the command line."""
    on_docker.add_arguments(parser)
    on_docker.add_choices(parser)
    parser.add_argument("--push", metavar="REGISTRY", help="and push them to HOST[/PATH]")
    parser.add_argument("--json", action="store_true", help="print the images as one JSON object")


def run(args: argparse.Namespace) -> int:
    """Build, push, and print what the images are called."""
    args.registry = args.push or args.registry
    engine = on_docker.engine(args)
    lines = on_docker.Lines()
    try:
        images = engine.prepare(on_docker.options(args, progress=lines))
        engine.images.build(lines)
        if args.push:
            engine.images.push(lines)
    except KeyboardInterrupt:
        lines.clear()
        print("seawall build: interrupted; what is built stays built", file=sys.stderr)
        return 130
    finally:
        lines.clear()
    if args.json:
        import json

        print(json.dumps(images))
        return 0
    for image in sorted(set(images.values())):
        print(image)
    return 0
