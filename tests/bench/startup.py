"""How fast the command line answers, and what an idle agent worker costs."""

import asyncio
import statistics
import subprocess
import sys
import time
from pathlib import Path

from ._agent import Cost, measure

EXAMPLE = Path(__file__).parents[2] / "examples/research-team/seawall.yaml"
FLOOR = """
import os
os.environ["PYDANTIC_DISABLE_PLUGINS"] = "__all__"
import argparse, yaml
from pydantic import BaseModel, ConfigDict, Field, Tag
class One(BaseModel):
    number: int = Field(1, description="A number.")
One()
"""
"""What `check` cannot do without: its libraries, and a single model."""
RUNS, WORKERS = 11, 3
READY_SECONDS_MAX, IDLE_MIB_MAX = 2, 110
"""The goals."""


def median_ms(*command: str) -> float:
    """Median wall time of a command, in milliseconds."""
    times = []
    for _ in range(RUNS):
        began = time.perf_counter()
        subprocess.run(command, check=True, capture_output=True)
        times.append((time.perf_counter() - began) * 1000)
    return statistics.median(times)


def main() -> None:
    """Print medians, and ratios against bare Python."""
    python = median_ms(sys.executable, "-c", "pass")
    print(f"python -c pass                {python:7.0f} ms")
    floor = median_ms(sys.executable, "-c", FLOOR)
    print(f"pydantic, one model, and YAML {floor:7.0f} ms   {floor / python:5.1f} x bare Python")
    for words in (["--help"], ["check", "-f", str(EXAMPLE)]):
        took = median_ms(sys.executable, "-m", "seawall.cli.main", *words)
        print(f"seawall {words[0]:<21} {took:7.0f} ms   {took / python:5.1f} x bare Python")
    show([asyncio.run(measure()) for _ in range(WORKERS)])


def show(costs: list[Cost]) -> None:
    """Medians of what the workers cost, beside the goals."""
    lines = (
        ("start to ready", "ready", f"s     (goal: {READY_SECONDS_MAX})"),
        ("start to ready, processor", "ready_cpu", "s"),
        ("first task", "answered", "s     (loads the provider's and the MCP client)"),
        ("second task", "again", "s"),
        ("idle, before a task", "idle", f"MiB   (goal: {IDLE_MIB_MAX})"),
        ("idle, after a task", "idle_after", f"MiB   (goal: {IDLE_MIB_MAX})"),
    )
    for words, name, rest in lines:
        middle = statistics.median(getattr(cost, name) for cost in costs)
        print(f"agent worker, {words:27} {middle:7.2f} {rest}")
