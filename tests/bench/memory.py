"""What memory costs: start, embedding, indexing and recall. Run: `python tests/bench/memory.py`."""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from pathlib import Path

from seawall.memory import minilm
from seawall.memory.embed import Embedder, find_weights
from seawall.memory.ingest import ingest
from seawall.memory.service import MemoryService, preload
from seawall.wire.tools import Caller

PROJECT = Path(__file__).parents[2]
TEXT = "A lease is the right of one replica to work on a task for a while. "
RECALLS = 200


def tell(name: str, value: float, unit: str) -> None:
    sys.stdout.write(f"{name:<44}{value:>10.1f} {unit}\n")


def main() -> None:
    """Measure and print, one line each."""
    begun = time.perf_counter()
    preload()
    tell("memory: imports (Chroma, ONNX Runtime)", time.perf_counter() - begun, "s")
    begun = time.perf_counter()
    minilm.build(minilm.read_safetensors(find_weights()))
    tell("memory: build the int8 model (first run)", time.perf_counter() - begun, "s")
    Embedder.load()
    begun = time.perf_counter()
    embedder = Embedder.load()
    tell("memory: load the model (warm)", (time.perf_counter() - begun) * 1000, "ms")
    for words in (15, 60, 180):
        texts = [" ".join((TEXT * 20).split()[:words])] * 64
        begun = time.perf_counter()
        embedder.embed(texts)
        tell(f"memory: embed {words} words", 64 / (time.perf_counter() - begun), "texts/s")
    with (
        tempfile.TemporaryDirectory() as folder,
        MemoryService(Path(folder), lambda: embedder) as service,
    ):
        recalled(service)


def recalled(service: MemoryService) -> None:
    """Index the project's documentation twice, then recall from it."""
    only = ("docs", "README.md")
    first = ingest(service, PROJECT, only=only)
    tell(f"memory: index {first.files} files, {first.chunks} passages", first.seconds, "s")
    tell("memory: index again, unchanged", ingest(service, PROJECT, only=only).seconds * 1000, "ms")
    caller = Caller(agent="bench", run="r")
    spent = []
    for number in range(RECALLS):
        begun = time.perf_counter()
        service.recall(caller, f"Who may hold lease {number}?")
        spent.append((time.perf_counter() - begun) * 1000)
    tell("memory: recall p50", statistics.median(spent), "ms")
    tell("memory: recall p99", statistics.quantiles(spent, n=100)[98], "ms")


if __name__ == "__main__":
    main()
