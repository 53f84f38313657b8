"""What the parts of a spec say about one another: names, grants, files, models, prices, secrets."""

import sys

import pytest

from seawall.models import prices
from seawall.spec.money import PRICED
from seawall.spec.profiles import profile
from seawall.wire.profiles import ModelProfile

from .conftest import HEAD, Faults, Load

FUNCTIONS = """\
import seawall as wall
from seawall import tool as marked
raise SystemExit("imported")

@marked
def search(query: str) -> str: ...

@wall.tool(retry="safe")
async def search_news(query: str) -> str: ...

def hidden() -> None: ...

def tool(f): return f
@tool
def foreign() -> None: ...
"""
TOOLS = "tools: {web: {functions: web.py}, memory: {memory: {}}, box: {sandbox: python}}\n"


def test_main_must_be_an_agent(faults: Faults) -> None:
    (fault,) = faults(HEAD.replace("main: a", "main: abc") + "agents: {abd: {}}\n")
    assert fault == "seawall.yaml:3: main: there is no agent 'abc'. Did you mean 'abd'?"


@pytest.mark.parametrize(
    "grant", ["web", "web/search", "web/search_*", "web/*", "memory/recall", "box/run_python"]
)
def test_a_grant_of_what_exists_is_accepted_without_running_the_code(
    faults: Faults, grant: str
) -> None:
    assert (
        faults(HEAD + f"agents: {{a: {{tools: ['{grant}']}}}}\n" + TOOLS, web__py=FUNCTIONS) == []
    )


@pytest.mark.parametrize(
    ("grant", "remedy"),
    [
        ("web/serch", "Did you mean 'search'?"),
        ("web/hidden", "Known functions: search, search_news."),
        ("web/foreign", "Known functions: search, search_news."),
        ("web/delete_*", "Known functions"),
        ("memory/recal", "Did you mean 'recall'?"),
        ("web/", "Write tool/function"),
        ("web/a b", "Write tool/function"),
        ("webb", "Did you mean 'web'?"),
    ],
)
def test_a_grant_of_what_does_not_exist_is_refused(faults: Faults, grant: str, remedy: str) -> None:
    text = HEAD + f"agents: {{a: {{tools: ['{grant}']}}}}\n" + TOOLS
    (fault,) = faults(text, web__py=FUNCTIONS)
    assert fault.startswith("seawall.yaml:5: agents/a/tools/0: ")
    assert remedy in fault


def test_a_functions_file_must_be_python_with_a_marked_function(faults: Faults) -> None:
    text = HEAD + "agents: {a: {}}\ntools: {web: {functions: web.py}}\n"
    assert "web.py:2: is not valid Python" in faults(text, web__py="x = 1\ndef (:\n")[0]
    assert "no function in web.py is marked @tool" in faults(text, web__py="def f(): ...\n")[0]


def test_a_name_listed_twice_is_refused(faults: Faults) -> None:
    text = HEAD + "agents: {a: {delegates: [b, b]}, b: {}}\n"
    assert "agents/a/delegates/1: 'b' is listed twice" in faults(text)[0]


def test_services_that_do_not_exist_are_refused(faults: Faults) -> None:
    text = HEAD + "agents: {a: {connects: [order_db]}}\nservices: {orders_db: 'db.example:5432'}\n"
    (fault,) = faults(text)
    assert "connects/0: there is no service 'order_db'. Did you mean 'orders_db'?" in fault


def test_readers_and_writers_of_a_memory_must_be_agents(faults: Faults) -> None:
    text = HEAD + "agents: {a: {}}\ntools: {m: {memory: {readers: [b], writers: [a]}}}\n"
    (fault,) = faults(text)
    assert "tools/m/memory/readers/0: there is no agent 'b'" in fault


def test_folders_and_files_that_are_missing_are_told(faults: Faults) -> None:
    text = (
        HEAD
        + "agents: {a: {}, b: {build: dir}}\ntools: {m: {memory: {documents: docs}}}\n"
        + "secrets: {K: {file: key.txt}}\n"
    )
    found = "\n".join(faults(text))
    for name in ("folder 'dir'", "folder 'docs'", "file 'key.txt'"):
        assert f"there is no {name}" in found


def test_missing_files_of_certificates_are_told_at_check(faults: Faults) -> None:
    text = HEAD + "agents: {a: {}}\nbuild: {ca_bundle: site.pem}\ntrusted_cas: [own.pem]\n"
    text += "script: offline.yaml\n"
    found = "\n".join(faults(text))
    for place in ("build/ca_bundle: there is no file 'site.pem'", "'own.pem'", "'offline.yaml'"):
        assert place in found


@pytest.mark.parametrize(
    ("holds", "expected"),
    [
        ("hello\n", "trusted_cas/0: 'own.pem' holds no certificate"),
        ("-----BEGIN PRIVATE KEY-----\n", "trusted_cas/0: 'own.pem' holds a private key"),
    ],
)
def test_a_trusted_ca_must_be_certificates_alone(faults: Faults, holds: str, expected: str) -> None:
    (fault,) = faults(HEAD + "agents: {a: {}}\ntrusted_cas: [own.pem]\n", own__pem=holds)
    assert expected in fault


def test_no_model_at_all_is_told(faults: Faults) -> None:
    (fault,) = faults("seawall: 1\nname: m\nmain: a\nagents: {a: {}}\n")
    assert "agents/a: has no model, and there is no default" in fault


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("models: {fast: {base_url: 'https://h'}}\n", "models/fast: has no model"),
        ("models: {f: {model: 'opnai:x'}}\n", "models/f/model: there is no provider 'opnai'"),
        ("models: {f: {model: 'openai:x', fallbacks: [f]}}\n", "falls back to itself"),
        ("models: {f: {model: 'openai:x', fallbacks: [g]}}\n", "there is no model 'g'"),
        (
            "models: {f: {model: 'openai:x', base_url: 'http://h', secret: K}}\n",
            "models/f/base_url: would send a key without TLS",
        ),
    ],
)
def test_a_model_that_cannot_be_used_is_refused(faults: Faults, text: str, expected: str) -> None:
    assert expected in "\n".join(faults(HEAD + "agents: {a: {}}\n" + text))


LOCAL = "models: {local: {model: 'openai:llama9', base_url: 'http://localhost:1/v1'%s}}\n"


def test_a_budget_in_dollars_refuses_a_model_without_a_price(faults: Faults) -> None:
    head = HEAD.replace("anthropic:claude-sonnet-4-5", "local") + "agents: {a: {}}\n"
    for budget in ("budgets: {run: {usd: 1}}\n", "budgets: {day: {usd: 1}}\n"):
        (fault,) = faults(head + budget + LOCAL % "")
        assert "seawall.yaml:4: defaults/model: no price is known for 'local'" in fault
        assert "models/local/prices" in fault
        assert faults(head + budget + LOCAL % ", prices: {input: 0, output: 0}") == []
    assert faults(head + "budgets: {run: {tokens: 5}}\n" + LOCAL % "") == []


def test_a_fallback_without_a_price_is_refused_too(faults: Faults) -> None:
    text = HEAD.replace("anthropic:claude-sonnet-4-5", "m") + "agents: {a: {budget: {usd: 1}}}\n"
    text += "models: {m: {model: 'anthropic:claude-sonnet-4-5', fallbacks: ['openai:llama9']}}\n"
    (fault,) = faults(text)
    assert "models/m/fallbacks/0: no price is known for 'openai:llama9'" in fault


@pytest.mark.parametrize("ref", sorted(PRICED))
def test_models_taken_for_priced_are_known_to_the_price_library(ref: str) -> None:
    assert prices.find(ModelProfile(ref=ref)) is not None


def test_a_common_model_is_checked_without_loading_the_price_library(loaded: Load) -> None:
    hidden = {name: sys.modules.pop(name) for name in list(sys.modules) if "genai_prices" in name}
    try:
        loaded(HEAD + "agents: {a: {}}\nbudgets: {run: {usd: 1}}\n")
        assert not [name for name in sys.modules if "genai_prices" in name]
    finally:
        sys.modules.update(hidden)


def test_a_secret_that_looks_mistyped_is_not_taken_for_a_variable(faults: Faults) -> None:
    egress = "agents: {a: {egress: [{host: h.example, auth: {query: k, secret: SERP_API_KY}}]}}\n"
    assert faults(HEAD + egress) == []
    (fault,) = faults(HEAD + egress + "secrets: {SERP_API_KEY: {env: X}}\n")
    assert "auth/secret: there is no secret 'SERP_API_KY'. Did you mean 'SERP_API_KEY'?" in fault


def test_http_without_tls_to_another_machine_needs_a_word(faults: Faults) -> None:
    text = HEAD + "agents: {a: {}}\ntools: {t: {url: 'http://%s/mcp'%s}}\n"
    assert "without TLS" in faults(text % ("h.example", ""))[0]
    assert "without TLS" in faults(text % ("127.evil.example", ""))[0]
    assert faults(text % ("h.example", ", allow_plain_http: true")) == []
    assert faults(text % ("localhost", "")) == []
    assert faults(text % ("127.0.0.1:80", "")) == []


def test_a_fallback_brings_its_own_fallbacks_each_model_once(loaded: Load) -> None:
    spec = loaded(
        HEAD
        + """\
agents: {a: {}}
models:
  x: {model: "anthropic:claude-sonnet-4-5", fallbacks: [second, third]}
  second: {model: "openai:gpt-4o", fallbacks: [fourth, x]}
  third: {model: "openai:gpt-5"}
  fourth: {model: "anthropic:claude-haiku-4-5", fallbacks: [second]}
"""
    )
    found = [model.ref for model in profile(spec, "x").fallbacks]
    assert found == ["openai:gpt-4o", "anthropic:claude-haiku-4-5", "openai:gpt-5"]


def test_a_door_without_tls_is_for_this_machine_alone(faults: Faults) -> None:
    door = 'agents: {a: {}}\ndoor: {address: "0.0.0.0"}\n'
    (fault,) = faults(HEAD + door)
    assert "door/address: is not this machine's alone" in fault
