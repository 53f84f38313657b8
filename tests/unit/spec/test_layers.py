"""Included files join into one spec; an environment's file is laid over it as JSON Merge Patch."""

import pytest

from seawall.spec.faults import Place

from .conftest import HEAD, Faults, Load

MAIN = HEAD + "include: [more.yaml]\nagents: {a: {delegates: [b]}}\n"


def test_included_files_add_names(loaded: Load) -> None:
    spec = loaded(
        MAIN,
        more__yaml="agents: {b: {}}\ntools: {box: {sandbox: python}}\ninclude: [third.yaml]\n",
        third__yaml="seawall: 1\nagents: {c: {}}\n",
    )
    assert sorted(spec.agents) == ["a", "b", "c"]
    assert list(spec.tools) == ["box"]
    assert spec.home.place(("agents", "c")).file.endswith("third.yaml")


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ("agents: {b: {}, a: {}}\n", "more.yaml:1: agents/a: is set in two files, first at"),
        ("agents: {b: {}}\nmain: b\n", "more.yaml:2: main: is set in two files, first at"),
        ("agents: {b: {}}\ninclude: [seawall.yaml]\n", "seawall.yaml includes itself, in a circle"),
        ("agents: {b: {}}\ninclude: [more.yaml]\n", "more.yaml includes itself, in a circle"),
        ("agents: {b: {}}\ninclude: [gone.yaml]\n", "there is no file gone.yaml"),
        ("agents: {b: {}}\ninclude: x\n", "more.yaml:2: include: must be a list of file names"),
        ("agents: {b: {replicas: x}}\n", "more.yaml:1: agents/b/replicas: must be a whole number"),
        ("- x\n", "more.yaml:1: must be a mapping"),
    ],
)
def test_faults_of_included_files_name_them(faults: Faults, more: str, expected: str) -> None:
    assert expected in "\n".join(faults(MAIN, more__yaml=more))


def test_a_file_included_twice_is_refused(faults: Faults) -> None:
    text = MAIN.replace("[more.yaml]", "[more.yaml, more.yaml]")
    assert (
        "include/1: more.yaml is included twice" in faults(text, more__yaml="agents: {b: {}}\n")[0]
    )


def write_prod(prod: str) -> dict[str, str]:
    return {"seawall__prod__yaml": prod}


def test_an_environment_changes_adds_and_removes(loaded: Load) -> None:
    text = HEAD + "budgets: {run: {usd: 1, tokens: 5}}\nagents:\n  a: {replicas: 1}\n  b: {}\n"
    prod = "budgets: {run: {usd: 9, tokens: null}}\nagents:\n  a:\n    replicas: 7\n  b: null\n"
    spec = loaded(text, "prod", **write_prod(prod))
    assert spec.budgets.run.usd == 9
    assert spec.budgets.run.tokens is None
    assert list(spec.agents) == ["a"]
    assert spec.agents["a"].replicas == 7
    place = spec.home.place(("agents", "a", "replicas"))
    assert (place.file.rpartition("/")[2], place.line) == ("seawall.prod.yaml", 4)
    assert spec.home.place(("agents", "a")) == Place(spec.home.file, 7)


def test_without_an_environment_its_file_does_not_count(loaded: Load) -> None:
    spec = loaded(HEAD + "agents: {a: {}}\n", **write_prod("agents: {a: {replicas: 7}}\n"))
    assert spec.agents["a"].replicas == 1


def test_a_fault_in_the_environment_names_its_file(faults: Faults) -> None:
    found = faults(HEAD + "agents: {a: {}}\n", "prod", **write_prod("agents: {a: {replicas: 0}}\n"))
    assert found[0].startswith("seawall.prod.yaml:1: agents/a/replicas: must be at least 1")


def test_an_environment_that_does_not_exist_lists_those_that_do(faults: Faults) -> None:
    found = faults(HEAD + "agents: {a: {}}\n", "prdo", **write_prod("{}\n"))
    assert found == ["seawall.prdo.yaml: does not exist. Known: prod."]


def test_the_name_of_an_environment_cannot_leave_the_folder(faults: Faults) -> None:
    for name in ("../x", "", "a/b", "A"):
        assert "is not the name of an environment" in faults(HEAD + "agents: {a: {}}\n", name)[0]


def test_an_environment_cannot_include(faults: Faults) -> None:
    found = faults(HEAD + "agents: {a: {}}\n", "prod", **write_prod("include: [x.yaml]\n"))
    assert "cannot include others" in found[0]
