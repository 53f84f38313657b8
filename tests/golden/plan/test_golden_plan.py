"""The whole plan of the example, reviewed like code. `SEAWALL_GOLDEN=write` writes it anew."""

import os
from pathlib import Path

from seawall.plan.compile import compile_plan
from seawall.spec import sources
from seawall.spec.load import load

HERE = Path(__file__).parent


def test_the_plan_of_a_small_mesh() -> None:
    spec = load(HERE / "mesh" / "seawall.yaml")
    made = compile_plan(spec, sources.read(spec)).model_dump_json(indent=2) + "\n"
    golden = HERE / "mesh.json"
    if os.environ.get("SEAWALL_GOLDEN") == "write":
        golden.write_text(made)
    assert made == golden.read_text()
