"""What the embedded engine cannot run it refuses by name, before anything starts."""

from pathlib import Path

import pytest

from seawall.engine.dev import DevEngine, DevOptions
from seawall.errors import OperatorError
from seawall.mesh import Mesh


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("more", "named"),
    [
        ("agents: {a: {instructions: Hi}, b: {image: 'x:1'}}\n", "image: x:1"),
        (
            "agents: {a: {instructions: Hi, tools: [t]}}\ntools: {t: {npm: 'left-pad@1.3.0'}}\n",
            "npm",
        ),
    ],
)
async def test_what_needs_a_container_is_refused(more: str, named: str, tmp_path: Path) -> None:
    spec = tmp_path / "seawall.yaml"
    head = "seawall: 1\nname: m\nmain: a\ndefaults: {model: 'anthropic:claude-sonnet-4-5'}\n"
    spec.write_text(head + more)
    plan = Mesh.load(spec).plan
    with pytest.raises(OperatorError, match=named):
        await DevEngine(plan, DevOptions(tmp_path)).__aenter__()
