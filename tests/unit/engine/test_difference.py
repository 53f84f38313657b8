"""What `up` would change: decided by what runs, explained by what was laid."""

from __future__ import annotations

import json

from seawall.engine.difference import Change, Laid, difference
from seawall.engine.project import Container, container
from seawall.render.yaml_text import dump


def laid(
    changed: tuple[str, ...] = (), instructions: str = "A", **services: dict[str, object]
) -> Laid:
    document = {"services": {name: {"image": f"m/{name}:1", **s} for name, s in services.items()}}
    profile = json.dumps({"instructions": instructions, "name": "a"})
    files = {"compose.yaml": dump(document), "workloads/a/profile.json": profile}
    return Laid(files, frozenset(changed))


def service(definition: str = "d", **more: object) -> dict[str, object]:
    return {"labels": {"seawall.definition": definition}, **more}


def runs(name: str, number: int = 1, state: str = "ready", definition: str = "d") -> Container:
    return Container(f"{name}{number}", name, number, f"m/{name}:1", state, "Up", definition)


def test_nothing_changes_when_all_runs_as_it_is_written() -> None:
    mesh = laid(a=service(scale=2))
    assert difference([runs("a"), runs("a", 2)], mesh, mesh) == ()


def test_what_does_not_run_is_created_and_what_nobody_needs_removed() -> None:
    mesh = laid(a=service())
    assert difference([runs("b")], mesh, mesh) == (
        Change("a", "create", "it does not run"),
        Change("b", "remove", "seawall.yaml has no use for it any more"),
    )


def test_stopped_and_scaled_services_are_told_apart() -> None:
    mesh = laid(a=service(), b=service())
    running = [runs("a", state="exited"), runs("b"), runs("b", 2)]
    assert difference(running, mesh, mesh) == (
        Change("a", "start", "1 of 1 exited"),
        Change("b", "scale", "2 replicas run, seawall.yaml says 1"),
    )


def test_the_reason_names_the_keys_of_a_profile_and_the_values_of_a_service() -> None:
    before = laid(a=service("old", mem_limit=512))
    paths = ("workloads/a/profile.json", "workloads/a/files/tools/t.py")
    after = laid(paths, "B", a=service("new", mem_limit=1024))
    (change,) = difference([runs("a", definition="old")], before, after)
    assert change == Change(
        "a", "recreate",
        "tools/t.py changed; profile changed: instructions; mem_limit: 512 → 1024",
    )  # fmt: skip


def test_a_changed_seccomp_profile_replaces_every_service() -> None:
    before, after = laid(a=service("old")), laid(("seccomp.json",), a=service("new"))
    (change,) = difference([runs("a", definition="old")], before, after)
    assert change.why == "the seccomp profile changed"


def test_without_the_folder_it_is_still_seen_that_something_changed() -> None:
    (change,) = difference([runs("a", definition="old")], Laid({}), laid(a=service("new")))
    assert change == Change("a", "recreate", "it is another than the one that runs")


def test_a_row_of_docker_ps_is_read() -> None:
    labels = ("com.docker.compose.service=a,com.docker.compose.container-number=3,"
              "seawall.definition=0123")  # fmt: skip
    row = {"ID": "1", "Labels": labels, "Image": "m/a:1", "State": "running",
           "Status": "Up 3 minutes (health: starting)"}  # fmt: skip
    assert container(row) == Container("1", "a", 3, "m/a:1", "starting", "Up 3 minutes", "0123")
    ended = {**row, "State": "exited", "Status": "Exited (1) 2 seconds ago"}
    assert container(ended).state == "exited"
    assert container(ended).since == "Exited (1) 2 seconds ago"
