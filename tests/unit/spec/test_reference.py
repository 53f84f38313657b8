"""The reference file is complete and loads; the JSON Schema describes the same keys."""

import shutil
from pathlib import Path

import pytest

from seawall.plan.compile import compile_plan
from seawall.spec import load as loading
from seawall.spec import sources
from seawall.spec.model import Spec, json_schema

REFERENCE = Path(loading.__file__).parent / "reference.yaml"
FILES = {
    "more-agents.yaml": "agents: {researcher: {instructions: Find passages.}}\n",
    "prompts/lead.md": "Lead.\n",
    "tools/search.py": "from seawall import tool\n@tool\ndef find(query: str) -> str: ...\n",
    "tools/words.txt": "word\n",
    "tools/requirements.txt": "six==1.17.0\n",
    "team/requirements.txt": f"six==1.17.0 --hash=sha256:{'0' * 64}\n",
    "team/agent.py": "def build() -> None: ...\n",
    "agents/custom/Dockerfile": "FROM scratch\n",
    "keys/serp.txt": "not a real key\n",
    "certs/site.pem": "-----BEGIN CERTIFICATE-----\n",
    "certs/hall-ca.pem": "-----BEGIN CERTIFICATE-----\n",
    "library/a.md": "# A\n",
    "offline.yaml": "",
}


@pytest.fixture
def reference(tmp_path: Path) -> Spec:
    shutil.copy(REFERENCE, tmp_path / "seawall.yaml")
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return loading.load(tmp_path / "seawall.yaml")


def test_the_reference_loads_and_sets_every_top_level_key(reference: Spec) -> None:
    assert reference.model_fields_set == set(Spec.model_fields)
    assert sorted(reference.agents) == ["lead", "own_build", "own_code", "own_image", "researcher"]


def test_the_reference_has_a_plan(reference: Spec) -> None:
    plan = compile_plan(reference, sources.read(reference))
    assert len(plan.workloads) == 2 + len(reference.agents) + len(reference.tools)
    assert next(c for c in plan.controls if c.name == "log-limit").waived


def test_no_secret_is_read_to_make_a_plan(reference: Spec) -> None:
    plan = compile_plan(reference, sources.read(reference))
    assert "not a real key" not in plan.model_dump_json()


def test_the_schema_has_every_key_with_its_meaning() -> None:
    schema = json_schema()
    assert set(schema["properties"]) == {*Spec.model_fields, "include"}
    described = [*schema["properties"].values(), *schema["$defs"].values()]
    assert all("description" in part or "$ref" in part for part in described)
    assert schema["additionalProperties"] is False
    assert schema["$defs"]["RunBudget"]["properties"]["time"]["anyOf"][0]["type"] == "string"
