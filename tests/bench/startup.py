"""How fast the command line answers, and what an idle agent worker costs."""

import statistics
import subprocess
import sys
import time
from pathlib import Path

EXAMPLE = Path(__file__).parents[2] / "examples/research-team/seawall.yaml"
RUNS = 11
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
WORKER = """
import resource, time
began = time.perf_counter()
import httpx
import seawall.runtime.worker as worker
from seawall.runtime.keeper_client import KeeperClient
print(time.perf_counter() - began, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
"""


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
    seconds, megabytes = [], []
    for _ in range(5):
        done = subprocess.run(
            [sys.executable, "-c", WORKER], check=True, capture_output=True, text=True
        )
        took_s, peak = map(float, done.stdout.split())
        seconds.append(took_s)
        megabytes.append(peak)
    print(f"agent worker, start to ready  {statistics.median(seconds):7.2f} s")
    print(f"agent worker, idle            {statistics.median(megabytes):7.0f} MiB (peak RSS)")
