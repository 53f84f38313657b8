"""Every fault at once: file, line, path, what is wrong, what to do; and never a secret."""

import pytest

from .conftest import HEAD, Faults


def test_the_house_form_with_the_line(faults: Faults) -> None:
    text = HEAD + "agents:\n  a:\n    budget:\n      usd: -1\n"
    (fault,) = faults(text)
    assert fault == (
        "seawall.yaml:8: agents/a/budget/usd: must be above zero, got -1. "
        "Remove the key for no limit."
    )


def test_faults_of_every_kind_come_together_in_the_order_of_lines(faults: Faults) -> None:
    found = faults(
        HEAD
        + """\
agents:
  a:
    instrctions: hi
    delegates: [a, reseacher]
    tools: [serch]
    replicas: three
  researcher: {instructions: gone.md, model: antropic:x}
tools:
  search: {functions: gone.py, timeout: 5}
script: gone.yaml
"""
    )
    starts = [fault.split(". ")[0].rstrip(".") for fault in found]
    assert starts == [
        "seawall.yaml:7: agents/a/instrctions: is not a known key",
        "seawall.yaml:8: agents/a/delegates/0: delegates to itself",
        "seawall.yaml:8: agents/a/delegates/1: there is no agent 'reseacher'",
        "seawall.yaml:9: agents/a/tools/0: there is no tool 'serch'",
        "seawall.yaml:10: agents/a/replicas: must be a whole number, got 'three'",
        "seawall.yaml:11: agents/researcher/instructions: there is no file 'gone.md'",
        "seawall.yaml:11: agents/researcher/model: there is no provider 'antropic'",
        "seawall.yaml:13: tools/search/timeout: must be a duration",
        "seawall.yaml:13: tools/search/functions: there is no file 'gone.py'",
        "seawall.yaml:14: script: there is no file 'gone.yaml'",
    ]
    assert "Did you mean 'instructions'?" in found[0]
    assert "Did you mean 'researcher'?" in found[2]
    assert "Did you mean 'search'?" in found[3]
    assert "Did you mean 'anthropic'?" in found[6]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("agnts: {}\n", "Did you mean 'agents'?"),
        ("budgets: {run: {usdd: 1}}\n", "Did you mean 'usd'?"),
        ("models: {m: {model: 'openai:x', base_ur: 'http://h'}}\n", "Did you mean 'base_url'?"),
        ("tools: {t: {sandbox: python, timout: 5s}}\n", "Did you mean 'timeout'?"),
        ("tools: {t: {memory: {documnts: x}}}\n", "Did you mean 'documents'?"),
        ("tools: {t: {sandbox: python, limits: {memry: 1MiB}}}\n", "Did you mean 'memory'?"),
        ("tools: {t: {sandbox: python, egress: [{hst: a.b}]}}\n", "Did you mean 'host'?"),
        ("tools: {t: {functons: x.py}}\n", "Did you mean 'functions'?"),
        ("secrets: {K: {evn: X}}\n", "Did you mean 'env'?"),
    ],
)
def test_an_unknown_key_gets_the_nearest_known_one(
    faults: Faults, text: str, expected: str
) -> None:
    assert expected in "\n".join(faults(HEAD + "agents: {a: {}}\n" + text))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("agents: []\n", "agents: must be a mapping, got a list"),
        ("agents: {}\n", "agents: is empty"),
        ("agents: {a: 3}\n", "agents/a: must be a mapping, got 3"),
        ("agents: {a: {replicas: true}}\n", "agents/a/replicas: must be a whole number, got true"),
        ("agents: {a: {replicas: 0}}\n", "agents/a/replicas: must be at least 1, got 0"),
        ("agents: {a: {replicas: 1.5}}\n", "agents/a/replicas: must be a whole number, got 1.5"),
        ("agents: {a: {instructions: 5}}\n", "agents/a/instructions: must be text, got 5"),
        ("agents: {a: {tools: x}}\n", "agents/a/tools: must be a list, got 'x'"),
        ("agents: {a: {entry: x, image: z}}\n", "has entry and image, which exclude each other"),
        ("agents: {a: {entry: x}}\n", "agents/a/entry: must be module:name"),
        ("agents: {A: {}}\n", "agents/A: is not a name"),
        ("agents: {a: {}}\ntools: {t: {}}\n", "tools/t: has none of functions, command, npm"),
        (
            "agents: {a: {}}\ntools: {t: {url: 'https://h', sandbox: python}}\n",
            "tools/t: has url and sandbox, which exclude each other",
        ),
        ("agents: {a: {}}\ntools: {t: {sandbox: ruby}}\n", "must be 'python' or 'shell'"),
        ("agents: {a: {}}\ntools: {t: {command: x}}\n", "tools/t/command: must be a list"),
        ("agents: {a: {}}\ntools: {t: {command: []}}\n", "tools/t/command: is empty"),
        ("agents: {a: {}}\ntools: {t: {url: ftp://h}}\n", "tools/t/url: must be a URL"),
        ("agents: {a: {}}\nservices: {s: db}\n", "services/s: must be host:port"),
        ("agents: {a: {egress: [{host: '*.x'}]}}\n", "egress/0/host: must be a host's name"),
        ("agents: {a: {egress: [{host: 1.2.3.4/x}]}}\n", "egress/0/host: must be a host's name"),
        ("agents: {a: {egress: [{host: '127.0.0.1'}]}}\n", "egress/0/host: must be a host's name"),
        ("agents: {a: {limits: {memory: 512}}}\n", "limits/memory: must be a size"),
        ("agents: {a: {limits: {memory: 0MiB}}}\n", "limits/memory: must be above zero"),
        ("agents: {a: {}}\nbudgets: {run: {time: 0s}}\n", "run/time: must be above zero"),
        ("agents: {a: {}}\nbudgets: {run: {time: -5m}}\n", "run/time: must be a duration"),
    ],
)
def test_a_wrong_value_is_told_in_words(faults: Faults, text: str, expected: str) -> None:
    assert expected in "\n".join(faults(HEAD + text))


def test_a_wrong_format_version_is_told(faults: Faults) -> None:
    found = faults(HEAD.replace("seawall: 1", "seawall: 2") + "agents: {a: {}}\n")
    assert found == ["seawall.yaml:1: seawall: must be 1, got 2."]


def test_what_is_missing_is_told_once_each_and_the_rest_is_still_checked(faults: Faults) -> None:
    found = "\n".join(faults("agents: {a: {tools: [none]}}\n"))
    for line in ("seawall: is missing", "name: is missing", "main: is missing"):
        assert found.count(line) == 1
    assert "there is no tool 'none'" in found


SECRET = "sk-ant-api03-veryverysecret"


@pytest.mark.parametrize(
    "text",
    [
        f"secrets: {{K: {SECRET}}}\n",
        f"secrets: {{K: {{env: {SECRET}}}}}\n",
        f"secrets: {{{SECRET}: {{env: X}}}}\n",
        f"models: {{m: {{model: 'openai:x', secret: {SECRET}}}}}\n",
        f"models: {{m: {{model: 'openai:x', base_url: 'https://u:{SECRET}@h/'}}}}\n",
        f"tools: {{t: {{url: 'https://h/?key={SECRET}'}}}}\n",
        f"tools: {{t: {{url: 'https://h', auth: {{header: X, secret: {SECRET}}}}}}}\n",
        f"tools: {{t: {{sandbox: python, timeout: {SECRET}}}}}\n",
        f"tools: {{t: {{command: [x], env: {SECRET}}}}}\n",
        f"defaults: {SECRET}\n",
    ],
)
def test_a_secret_in_the_wrong_place_is_never_printed(faults: Faults, text: str) -> None:
    head = HEAD.replace('defaults: {model: "anthropic:claude-sonnet-4-5"}\n', "")
    head += "" if text.startswith("defaults") else 'defaults: {model: "anthropic:x"}\n'
    found = faults(head + "agents: {a: {}}\n" + text)
    assert found
    quoted = [f for f in found if SECRET in f.replace(f"secrets/{SECRET}", "")]
    assert not quoted


def test_thousands_of_faults_are_cut_short(faults: Faults) -> None:
    keys = "".join(f"  wrong{n}: 1\n" for n in range(500))
    found = faults(HEAD + "agents:\n  a: {}\nbudgets:\n" + keys)
    assert len(found) == 101
    assert found[-1] == "… and 400 more faults."
