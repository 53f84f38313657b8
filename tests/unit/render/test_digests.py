"""What an image's name says is in it: an edit changes the names of what holds it, and no other's.

`test_the_gateway_of_a_new_agent…` is the exception that is meant: who is granted a tool counts.
"""

from __future__ import annotations

from ipaddress import IPv4Network
from pathlib import Path

import pytest
import yaml

from seawall.engine import package
from seawall.plan.compile import compile_plan
from seawall.render import dockerfile
from seawall.render.compose import ComposeOptions, render
from seawall.render.dockerfile import Code
from seawall.spec import sources
from seawall.spec.load import load

FILES = {
    "seawall.yaml": """\
seawall: 1
name: mesh
main: lead
defaults: {model: "anthropic:claude-sonnet-4-5"}
budgets: {run: {usd: 1}}
agents:
  lead: {instructions: lead.md, delegates: [worker], tools: [text, books]}
  worker: {instructions: Work., tools: [numbers]}
tools:
  text: {functions: tools/text.py, files: [data], requirements: req.txt}
  numbers: {functions: tools/numbers.py}
  books: {memory: {documents: books, only: [kept]}}
script: offline.yaml
""",
    "lead.md": "Lead.\n",
    "tools/text.py": "import helper\nfrom seawall import tool\n@tool\ndef a(t: str) -> str: ...\n",
    "tools/helper.py": "import deeper.one\n",
    "tools/deeper/one.py": "x = 1\n",
    "tools/numbers.py": "from seawall import tool\n@tool\ndef b(t: str) -> str: ...\n",
    "tools/unused.py": "import nothing\n",
    "data/words.txt": "word\n",
    "data/.env": "KEY=1\n",
    "req.txt": f"six==1.17.0 --hash=sha256:{'0' * 64}\n",
    "books/kept/a.md": "# A\n",
    "books/kept/.hidden.md": "# H\n",
    "books/other/b.md": "# B\n",
    "offline.yaml": "agents: {}\n",
}
CODE = {name: Code((), f"digest of {name}") for name in dockerfile.PROGRAMS}
KEEPER, MODELS = {"keeper"}, {"models"}
ALL = {"agent-lead", "agent-worker", "broker", "door", "gateway-agent-lead", "gateway-agent-worker",
       "keeper", "models", "tool-books", "tool-numbers", "tool-text"}  # fmt: skip


def names(
    folder: Path, changes: dict[str, str] | None = None, code: dict[str, Code] = CODE
) -> dict[str, str]:
    """Service to its image."""
    for path, text in {**FILES, **(changes or {})}.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
    spec = load(folder / "seawall.yaml")
    plan = compile_plan(spec, sources.read(spec))
    options = ComposeOptions("p", IPv4Network("100.64.0.0/16"), offline=True)
    services = yaml.safe_load(render(plan, options, code).files["compose.yaml"])["services"]
    return {name: service["image"] for name, service in services.items()}


def changed(before: dict[str, str], after: dict[str, str]) -> set[str]:
    return {name for name in before | after if before.get(name) != after.get(name)}


@pytest.mark.parametrize(
    ("path", "text", "services"),
    [
        ("lead.md", "Lead well.\n", {"agent-lead"}),
        ("tools/text.py", FILES["tools/text.py"] + "# more\n", {"tool-text"}),
        ("tools/helper.py", "import deeper.one, os\n", {"tool-text"}),
        ("tools/deeper/one.py", "x = 2\n", {"tool-text"}),
        ("tools/unused.py", "x = 2\n", set()),
        ("data/words.txt", "words\n", {"tool-text"}),
        ("data/.env", "KEY=2\n", set()),
        ("req.txt", FILES["req.txt"].replace("1.17.0", "1.16.0"), {"tool-text"}),
        ("books/kept/a.md", "# Changed\n", {"tool-books"}),
        ("books/kept/.hidden.md", "# Changed\n", set()),
        ("books/other/b.md", "# Changed\n", set()),
        ("offline.yaml", "agents: {lead: {}}\n", MODELS),
        ("seawall.yaml", FILES["seawall.yaml"] + "images: {base: mine}\n", ALL),
        ("seawall.yaml", FILES["seawall.yaml"] + "images: {broker: mine}\n", {"broker"}),
        ("seawall.yaml", FILES["seawall.yaml"] + "images: {keeper: mine}\n", KEEPER),
    ],
)
def test_an_edit_changes_the_images_that_hold_it(
    tmp_path: Path, path: str, text: str, services: set[str]
) -> None:
    assert changed(names(tmp_path), names(tmp_path, {path: text})) == services


@pytest.mark.parametrize(
    ("program", "services"),
    [
        ("keeper", {"keeper"}),
        ("runtime", {"agent-lead", "agent-worker"}),
        ("bridge", {"tool-text", "tool-numbers"}),
        ("memory", {"tool-books"}),
        ("model", {"tool-books"}),
        ("models", {"models"}),
    ],
)
def test_an_edit_of_seawall_itself_changes_the_images_of_that_role(
    tmp_path: Path, program: str, services: set[str]
) -> None:
    code = {**CODE, program: Code((), "another")}
    assert changed(names(tmp_path), names(tmp_path, code=code)) == services


def test_a_lock_changes_its_role(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = names(tmp_path)
    lock = dockerfile.lock
    more = "# another\n"
    monkeypatch.setattr(dockerfile, "lock", lambda n: lock(n) + (more if n == "keeper" else ""))
    assert changed(before, names(tmp_path)) == {"keeper"}


def test_an_image_holds_what_its_program_imports_and_nothing_else() -> None:
    code = package.code()
    held = {name: set(part.files) for name, part in code.items()}
    assert "keeper/lua/take.lua" in held["keeper"]
    assert "bridges/leash.py" in held["bridge"]
    assert "bridges/mark.py" in held["bridge"]  # `from seawall import tool`
    assert "memory/embed.py" in held["memory"]
    tops = {name: {f.partition("/")[0] for f in files} for name, files in held.items()}
    common = {"__init__.py", "errors.py", "wire", "containers"}
    assert tops["keeper"] - common == {"keeper"}
    assert tops["runtime"] - common == {"runtime", "models"}
    assert tops["bridge"] - common == {"bridges"}
    assert tops["memory"] - common == {"bridges", "memory"}
    assert tops["models"] - common == {"models"}
    assert not [f for f in held["runtime"] if "fake" in f or "scripted" in f]
    assert not [f for f in held["keeper"] if f in ("containers/agent.py", "containers/bridge.py")]
