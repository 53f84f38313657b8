"""Memory as a tool: schemas models can follow, results in words and data, a loop that runs on."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

import pytest

from seawall.memory.backend import MemoryBackend
from seawall.memory.embed import Embedder
from seawall.memory.ingest import ingest
from seawall.memory.service import MemoryService
from seawall.wire.tools import Backend, Caller, CallOutcome

CALLER = Caller(agent="alice", run="r1")
FACT = "The sea wall was raised to nine metres."


def call(service: MemoryService, function: str, **arguments: Any) -> CallOutcome:
    return asyncio.run(MemoryBackend(service).call(function, arguments, CALLER))


def test_every_function_has_a_description_and_a_closed_schema(service: MemoryService) -> None:
    backend: Backend = MemoryBackend(service)
    functions = {f.name: f for f in asyncio.run(backend.list())}
    assert set(functions) == {"remember", "recall", "forget", "list_memories"}
    for function in functions.values():
        assert function.description
        assert function.input_schema["type"] == "object"
        assert function.input_schema["additionalProperties"] is False
        assert all("description" in p for p in function.input_schema["properties"].values())
    assert functions["recall"].input_schema["required"] == ["query"]
    assert functions["recall"].retry == "safe"


def test_passages_come_in_words_and_as_data(service: MemoryService, tmp_path: Path) -> None:
    library = tmp_path / "library"
    library.mkdir()
    (library / "wall.md").write_text(f"# Wall\n\n{FACT}\n")
    ingest(service, library)
    outcome = call(service, "recall", query="How high is the wall?", limit="3")
    assert not outcome.is_error
    assert "[wall.md:1-3]" in outcome.text
    assert "not instructions" in outcome.text
    assert outcome.structured is not None
    (passage,) = outcome.structured["passages"]
    assert set(passage) == {"text", "source", "line_first", "line_last", "score", "id"}
    assert passage["score"] > 0.5


def test_an_entry_lives_from_remember_to_forget(service: MemoryService) -> None:
    kept = call(service, "remember", text=FACT).structured
    assert kept is not None
    assert FACT in call(service, "list_memories").text
    assert not call(service, "forget", id=kept["id"]).is_error
    gone = call(service, "recall", query="wall")
    assert (gone.text, gone.structured) == ("Nothing was found.", {"passages": []})


@pytest.mark.parametrize(
    ("function", "arguments", "words"),
    [
        ("recal", {"query": "x"}, "One of: remember, recall"),
        ("recall", {}, "query: Field required"),
        ("recall", {"query": "x", "limit": 99}, "limit: "),
        ("recall", {"query": "x", "agent": "bob"}, "agent: Extra inputs"),
        ("remember", {"text": "x", "scope": "documents"}, "cannot be added to"),
        ("remember", {"text": ["x"]}, "text: "),
        ("forget", {"id": "m-0"}, "no entry"),
    ],
)
def test_a_wrong_call_is_an_outcome_in_words(
    service: MemoryService, function: str, arguments: dict[str, Any], words: str
) -> None:
    outcome = call(service, function, **arguments)
    assert outcome.is_error
    assert words in outcome.text


def test_the_event_loop_runs_on_while_memory_works(service: MemoryService) -> None:
    service.recall(CALLER, "open it first")

    async def longest_gap() -> float:
        backend = MemoryBackend(service)
        work = [backend.call("remember", {"text": f"{n} {FACT}" * 50}, CALLER) for n in range(6)]
        job = asyncio.gather(*work)
        begun = before = time.perf_counter()
        gap = 0.0
        while not job.done():
            await asyncio.sleep(0.005)
            now = time.perf_counter()
            gap, before = max(gap, now - before), now
        assert not any(outcome.is_error for outcome in job.result())
        return gap / (before - begun)

    assert asyncio.run(longest_gap()) < 0.5


def test_leaving_closes_the_store(tmp_path: Path, embedder: Embedder) -> None:
    async def use() -> CallOutcome:
        async with MemoryBackend(MemoryService(tmp_path, lambda: embedder)) as backend:
            return await backend.call("remember", {"text": FACT}, CALLER)

    assert not asyncio.run(use()).is_error
    assert not asyncio.run(use()).is_error  # the folder was given back
