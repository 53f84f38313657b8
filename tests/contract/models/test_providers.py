"""Real client libraries against the fake providers, over real HTTP: answers, tools, streams."""

import asyncio
import socket
import subprocess
import sys
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest
from pydantic_ai import Agent
from pydantic_ai.exceptions import UnexpectedModelBehavior
from pydantic_ai.messages import PartDeltaEvent, PartStartEvent, TextPart, TextPartDelta

from seawall.errors import OperatorError
from seawall.models.fake_plan import Behaviour, FakePlan, calls, digest, from_script, say
from seawall.models.providers import build
from seawall.models.scripted import load
from seawall.wire.profiles import ModelProfile

pytestmark = pytest.mark.anyio

KEY = "sk-very-secret-0123456789"
SCRIPT = """
agents:
  tester:
    turns:
      - say: "Let me count."
        call:
          - {tool: count, args: {text: "{{ input }}"}}
          - {tool: count, args: {text: "fail"}}
      - say: "{{ last[0].data.words }} words; {{ last[1].error }}"
"""

Serve = Callable[[FakePlan], AbstractAsyncContextManager[Any]]


def scripted_plan(tmp_path: Path, **values: Any) -> FakePlan:
    path = tmp_path / "script.yaml"
    path.write_text(SCRIPT)
    return FakePlan(answer=from_script(load(path)), key=KEY, **values)


def agent(model: Any) -> Agent[None, str]:
    made = Agent(model, instructions="Count words.")

    @made.tool_plain
    def count(text: str) -> dict[str, int]:
        from pydantic_ai import ToolFailed

        if text == "fail":
            raise ToolFailed("cannot count that")
        return {"words": len(text.split())}

    return made


async def streamed(model: Any, prompt: str) -> tuple[str, list[str], Any]:
    """Run as the runtime does: events to a handler. Returns output, text deltas and usage."""
    heard: list[str] = []

    async def hear(_ctx: Any, events: Any) -> None:
        async for event in events:
            if isinstance(event, PartStartEvent) and isinstance(event.part, TextPart):
                heard.append(event.part.content)
            elif isinstance(event, PartDeltaEvent) and isinstance(event.delta, TextPartDelta):
                heard.append(event.delta.content_delta)

    async with agent(model) as made:
        run = await made.run(prompt, event_stream_handler=hear)
    return run.output, heard, run.usage


async def ask(model: Any, prompt: str = "hi") -> Any:
    """Run without streaming, and close the model's connections."""
    async with agent(model) as made:
        return await made.run(prompt)


async def test_tools_make_the_round_trip(serve: Serve, provider: str, tmp_path: Path) -> None:
    async with serve(scripted_plan(tmp_path)) as fake:
        run = await ask(build(fake.profile(provider), KEY), "one two three")
    assert run.output == "3 words; cannot count that"
    assert run.usage.input_tokens > 20
    assert run.usage.output_tokens > 5
    assert [seen.protocol for seen in fake.plan.seen] == [provider, provider]


async def test_a_response_streams(serve: Serve, provider: str, tmp_path: Path) -> None:
    async with serve(scripted_plan(tmp_path)) as fake:
        output, heard, usage = await streamed(build(fake.profile(provider), KEY), "one two three")
    assert output == "3 words; cannot count that"
    assert "".join(heard) == "Let me count.3 words; cannot count that"
    assert len([part for part in heard if part]) >= 7
    assert usage.input_tokens > 20
    assert all(seen.body["stream"] for seen in fake.plan.seen)


async def test_the_profile_reaches_the_wire(serve: Serve, provider: str) -> None:
    async with serve(FakePlan()) as fake:
        profile = fake.profile(provider, output_tokens_max=123, temperature=0.25)
        await ask(build(profile, KEY))
    seen = fake.plan.seen[0]
    assert seen.body["max_tokens"] == 123
    assert seen.body["temperature"] == 0.25
    assert seen.model == "tester"
    assert seen.key_sha256 == digest(KEY)
    assert KEY not in repr(seen)


async def test_a_server_without_keys_needs_none(serve: Serve, provider: str) -> None:
    async with serve(FakePlan()) as fake:
        run = await ask(build(fake.profile(provider, secret=None), None))
    assert run.output == "You said: hi"


@pytest.mark.parametrize("status", [408, 409, 429, 500, 503, 529])
async def test_passing_errors_are_tried_again_with_backoff(
    serve: Serve, provider: str, clock: Any, status: int
) -> None:
    told: list[tuple[int, str, float]] = []
    plan = FakePlan(behaviours=[Behaviour("status", status=status)] * 3)
    async with serve(plan) as fake:
        model = build(
            fake.profile(provider),
            KEY,
            sleep=clock.sleep,
            on_retry=lambda attempt, reason, delay: told.append((attempt, reason, delay)),
        )
        run = await ask(model)
    assert run.output == "You said: hi"
    assert len(plan.seen) == 4  # so the library's own retries are off
    for wait, most in zip(clock.waits, [0.5, 1.0, 2.0], strict=True):
        assert most / 2 <= wait <= most
    assert [attempt for attempt, _, _ in told] == [1, 2, 3]
    assert all(reason and KEY not in reason for _, reason, _ in told)


@pytest.mark.parametrize(
    ("header", "value", "low", "high"),
    [
        ("retry-after", "7", 7.0, 7.0),
        ("retry-after-ms", "1500", 1.5, 1.5),
        ("retry-after", "Fri, 31 Dec 2999 23:59:59 GMT", 120.0, 120.0),
        ("retry-after", "Wed, 21 Oct 2015 07:28:00 GMT", 0.0, 0.0),
        ("retry-after", "soon", 0.25, 0.5),
    ],
)
async def test_retry_after_is_honoured_up_to_a_limit(
    serve: Serve, provider: str, clock: Any, header: str, value: str, low: float, high: float
) -> None:
    plan = FakePlan(behaviours=[Behaviour("status", status=429, headers=((header, value),))])
    async with serve(plan) as fake:
        run = await ask(build(fake.profile(provider), KEY, sleep=clock.sleep))
    assert run.output == "You said: hi"
    assert len(clock.waits) == 1
    assert low <= clock.waits[0] <= high


async def test_an_error_before_a_stream_is_tried_again(
    serve: Serve, provider: str, clock: Any
) -> None:
    plan = FakePlan(behaviours=[Behaviour("status", status=529)])
    async with serve(plan) as fake:
        model = build(fake.profile(provider), KEY, sleep=clock.sleep)
        output, _, _ = await streamed(model, "hi")
    assert output == "You said: hi"
    assert len(clock.waits) == 1


@pytest.mark.parametrize("kind", ["cut", "end", "error", "garbage"])
@pytest.mark.parametrize("events", [1, 4, 6])
async def test_a_stream_that_breaks_is_asked_for_again_and_nothing_is_doubled(
    serve: Serve, provider: str, clock: Any, kind: Any, events: int, tmp_path: Path
) -> None:
    broken = [Behaviour(kind, events=events), Behaviour(kind, events=events)]
    plan = scripted_plan(tmp_path, behaviours=broken)
    async with serve(plan) as fake:
        model = build(fake.profile(provider), KEY, sleep=clock.sleep)
        output, _, usage = await streamed(model, "one two three")
    assert output == "3 words; cannot count that"
    assert len(clock.waits) == 2
    assert len(plan.seen) == 4
    assert usage.requests == 2


async def test_a_stream_that_always_breaks_ends_with_a_clear_error(
    serve: Serve, provider: str, clock: Any
) -> None:
    plan = FakePlan(behaviours=[Behaviour("cut")] * 9)
    async with serve(plan) as fake:
        model = build(fake.profile(provider, retries_max=2), KEY, sleep=clock.sleep)
        with pytest.raises(OperatorError, match=r"3 attempts"):
            await streamed(model, "hi")
    assert len(plan.seen) == 3


async def test_garbage_for_a_response_is_a_clear_error(
    serve: Serve, provider: str, clock: Any
) -> None:
    plan = FakePlan(behaviours=[Behaviour("garbage")] * 2)
    async with serve(plan) as fake:
        model = build(fake.profile(provider, retries_max=1), KEY, sleep=clock.sleep)
        with pytest.raises(OperatorError, match="answered what is no answer"):
            await ask(model)


@pytest.mark.parametrize("stream", [False, True])
async def test_a_server_that_never_answers_is_given_up(
    serve: Serve, provider: str, clock: Any, stream: bool
) -> None:
    plan = FakePlan(behaviours=[Behaviour("hang")] * 2)
    async with serve(plan) as fake:
        profile = fake.profile(provider, timeout_seconds=0.2, retries_max=1)
        model = build(profile, KEY, sleep=clock.sleep)
        with pytest.raises(OperatorError, match=r"nothing came for 0.2 s \(2 attempts\)"):
            await (streamed(model, "hi") if stream else ask(model))


async def test_a_slow_server_that_keeps_sending_is_not_given_up(
    serve: Serve, provider: str, clock: Any
) -> None:
    plan = FakePlan(behaviours=[Behaviour("slow", seconds=0.1)])
    async with serve(plan) as fake:
        model = build(fake.profile(provider, timeout_seconds=0.4), KEY, sleep=clock.sleep)
        output, _, _ = await streamed(model, "a b c d e")
    assert output == "You said: a b c d e"
    assert clock.waits == []


@pytest.mark.parametrize("stream", [False, True])
async def test_a_refused_key_is_told_by_name_and_never_by_value(
    serve: Serve, provider: str, clock: Any, stream: bool
) -> None:
    echo = f"Incorrect API key provided: {KEY}"
    plan = FakePlan(behaviours=[Behaviour("status", status=401, message=echo)] * 2)
    async with serve(plan) as fake:
        model = build(fake.profile(provider), KEY, sleep=clock.sleep)
        with pytest.raises(OperatorError) as raised:
            await (streamed(model, "hi") if stream else ask(model))
    error = raised.value
    assert "TEST_KEY was refused" in str(error)
    assert f"model {provider}:tester at http://127.0.0.1:{fake.port}" in str(error)
    assert clock.waits == []
    shown = f"{error!r} {error} {model!r} {vars(error)} {error.__cause__!r}"
    assert KEY not in shown
    assert error.__suppress_context__


async def test_a_key_echoed_in_another_error_is_left_out(
    serve: Serve, provider: str, clock: Any
) -> None:
    plan = FakePlan(behaviours=[Behaviour("status", status=400, message=f"bad header {KEY}")])
    async with serve(plan) as fake:
        with pytest.raises(OperatorError) as raised:
            await ask(build(fake.profile(provider), KEY, sleep=clock.sleep))
    assert "bad header …" in str(raised.value)
    assert KEY not in str(raised.value)


@pytest.mark.parametrize(
    ("values", "fault"),
    [
        ({"models": frozenset({"other"})}, "has no model 'tester'"),
        ({"input_tokens_max": 1}, "longer than the model can read"),
        ({"key": "another"}, "TEST_KEY was refused"),
    ],
)
async def test_what_waiting_cannot_mend_is_told_at_once(
    serve: Serve, provider: str, clock: Any, values: Any, fault: str
) -> None:
    async with serve(FakePlan(**values)) as fake:
        with pytest.raises(OperatorError, match=fault):
            await ask(build(fake.profile(provider), KEY, sleep=clock.sleep))
    assert len(fake.plan.seen) == 1
    assert clock.waits == []


async def test_an_unreachable_server_is_named_without_its_password(
    provider: str, clock: Any
) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    profile = ModelProfile(
        ref=f"{provider}:m", base_url=f"http://me:pass123@127.0.0.1:{port}/v1", retries_max=1
    )
    with pytest.raises(OperatorError, match=r"cannot be reached.*2 attempts") as raised:
        await ask(build(profile, None, sleep=clock.sleep))
    assert f"at http://127.0.0.1:{port}/v1" in str(raised.value)
    assert "pass123" not in str(raised.value)


@pytest.mark.parametrize("stream", [False, True])
async def test_a_fallback_answers_when_the_first_model_fails(
    serve: Serve, provider: str, clock: Any, stream: bool
) -> None:
    broken = FakePlan(behaviours=[Behaviour("status", status=500)] * 9)
    good = FakePlan(key="other-key")
    async with serve(broken) as first, serve(good) as second:
        other = "openai" if provider == "anthropic" else "anthropic"
        fallback = second.profile(other, secret="OTHER_KEY")
        profile = first.profile(provider, retries_max=1, fallbacks=(fallback,))
        model = build(profile, KEY, keys={"OTHER_KEY": "other-key"}, sleep=clock.sleep)
        output = (await streamed(model, "hi"))[0] if stream else (await ask(model)).output
    assert output == "You said: hi"
    assert (len(broken.seen), len(good.seen)) == (2, 1)


async def test_when_all_models_fail_the_error_says_why_each_did(
    serve: Serve, provider: str, clock: Any
) -> None:
    async with serve(FakePlan(key="x")) as first, serve(FakePlan(models=frozenset())) as second:
        profile = first.profile(provider, fallbacks=(second.profile(provider),))
        with pytest.raises(OperatorError, match=r"TEST_KEY was refused.*has no model 'tester'"):
            await ask(build(profile, KEY, sleep=clock.sleep))


async def test_a_call_of_an_unknown_tool_is_told_to_the_model_and_bounded(
    serve: Serve, provider: str
) -> None:
    async with serve(FakePlan(answer=calls("no_such_tool"))) as fake:
        with pytest.raises(UnexpectedModelBehavior, match="no_such_tool"):
            await ask(build(fake.profile(provider), KEY))


async def test_a_run_cancelled_while_streaming_stops_the_request(
    serve: Serve, provider: str
) -> None:
    long = FakePlan(answer=lambda _n, _c: say("word " * 500), pause_seconds=0.02)
    async with serve(long) as fake:
        model = build(fake.profile(provider), KEY)
        task = asyncio.create_task(streamed(model, "hi"))
        await asyncio.sleep(0.5)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


def test_a_missing_key_says_which_and_both_ways_out() -> None:
    with pytest.raises(OperatorError, match=r"ANTHROPIC_API_KEY is not set\..*--offline"):
        build(ModelProfile(ref="anthropic:claude-sonnet-4-5"), None)


def test_an_unknown_provider_is_refused() -> None:
    with pytest.raises(OperatorError, match="Write anthropic:NAME or openai:NAME"):
        build(ModelProfile(ref="gemini:x"), "k")


def test_the_fake_serves_a_script_as_a_program(tmp_path: Path) -> None:
    script = tmp_path / "script.yaml"
    script.write_text(SCRIPT)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "seawall.models.fake_providers", "--port", str(port)]
    process = subprocess.Popen([*command, "--script", str(script), "--behave", "529"])
    try:
        profile = ModelProfile(ref="anthropic:tester", base_url=f"http://127.0.0.1:{port}")
        run = asyncio.run(ask(build(profile, None), "one two"))
        assert run.output == "2 words; cannot count that"
    finally:
        process.terminate()
        process.wait(10)
