"""What the embedded engine cannot run it refuses by name, before anything starts."""

from pathlib import Path

import pytest

from seawall.engine.dev import DevEngine, DevOptions
from seawall.errors import OperatorError
from seawall.mesh import Mesh
from seawall.wire.profiles import AgentProfile, ModelProfile, ToolGrant


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


@pytest.mark.anyio
async def test_the_clients_of_tools_are_closed_with_the_engine(tmp_path: Path) -> None:
    spec = tmp_path / "seawall.yaml"
    spec.write_text(
        "seawall: 1\nname: m\nmain: a\ndefaults: {model: 'anthropic:claude-sonnet-4-5'}\n"
        "agents: {a: {instructions: Hi, tools: [t]}}\ntools: {t: {functions: t.py}}\n"
    )
    (tmp_path / "t.py").write_text(
        "from seawall import tool\n\n\n@tool\ndef f() -> str:\n    return 'x'\n"
    )
    script = tmp_path / "script.yaml"
    script.write_text("agents: {a: {turns: [{say: hello}]}}\n")
    profile = AgentProfile(
        name="a", model=ModelProfile(ref="anthropic:x"), tools=(ToolGrant(tool="t"),)
    )
    options = DevOptions(tmp_path, offline=True, script=script)
    async with DevEngine(Mesh.load(spec).plan, options) as engine:
        client = engine._tool_client(profile, "t")
        assert not client._http.is_closed
    assert client._http.is_closed
