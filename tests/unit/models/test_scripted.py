"""Scripts: templates filled from real results, turns counted from history, faults by line."""

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic_ai import Agent, ToolFailed

from seawall.errors import SpecError
from seawall.models import scripted
from seawall.models.scripted import Conversation, Reply, ToolResult


def read(tmp_path: Path, text: str) -> scripted.Script:
    path = tmp_path / "script.yaml"
    path.write_text(text)
    return scripted.load(path)


def turns(tmp_path: Path, text: str) -> scripted.Script:
    lines = "".join(f"      {line}\n" for line in text.strip("\n").splitlines())
    return read(tmp_path, f"agents:\n  a:\n    turns:\n{lines}")


def answer(script: scripted.Script, text: str = "hi", *exchanges: list[ToolResult]) -> Reply:
    return script.reply("a", Conversation(text, tuple(tuple(e) for e in exchanges)))


def result(text: str, tool: str = "recall", failed: bool = False) -> ToolResult:
    return ToolResult.of(tool, {}, text, failed)


def test_an_argument_that_is_one_expression_keeps_its_type(tmp_path: Path) -> None:
    script = turns(
        tmp_path,
        """
- call: {tool: t, args: {n: "{{ 3 }}", list: ["{{ [1] }}"], mixed: "{{ 1 }}-{{ 2 }}", on: true}}
""",
    )
    assert answer(script).calls[0].args == {"n": 3, "list": [[1]], "mixed": "1-2", "on": True}


def test_text_is_filled_from_the_input_and_all_earlier_results(tmp_path: Path) -> None:
    script = turns(
        tmp_path,
        """
- call: [{tool: x}]
- call: [{tool: y}]
- say: "{{ input }} {{ results[0].data.n }} {{ last[0].text }} {{ turn }} {{ last[0].tool }}"
""",
    )
    reply = answer(script, "hi", [result('{"n": 7}')], [result("plain", "y")])
    assert reply.text == "hi 7 plain 3 y"


def test_a_loop_calls_once_for_each_item(tmp_path: Path) -> None:
    script = turns(
        tmp_path,
        """
- call: {tool: find}
- call:
    - {for: "p in last[0].data", tool: "read_{{ p.kind }}", args: {id: "{{ p.id }}"}}
    - {repeat: 2, tool: ping, args: {n: "{{ index }}"}}
""",
    )
    found = result('[{"id": 1, "kind": "doc"}, {"id": 2, "kind": "web"}]')
    calls = answer(script, "hi", [found]).calls
    assert [(call.tool, call.args) for call in calls] == [
        ("read_doc", {"id": 1}),
        ("read_web", {"id": 2}),
        ("ping", {"n": 0}),
        ("ping", {"n": 1}),
    ]
    assert len({call.id for call in calls}) == 4


def test_a_turn_whose_condition_is_false_is_skipped_also_on_resume(tmp_path: Path) -> None:
    script = turns(
        tmp_path,
        """
- call: {tool: recall}
- {when: "last[0].error", call: {tool: recall_again}}
- call: {tool: compute}
- say: done
""",
    )
    good, bad = [result("ok")], [result("broken", failed=True)]
    assert answer(script, "hi", good).calls[0].tool == "compute"
    assert answer(script, "hi", bad).calls[0].tool == "recall_again"
    assert answer(script, "hi", good, good).text == "done"
    assert answer(script, "hi", bad, good).calls[0].tool == "compute"


def test_a_last_turn_of_text_is_said_again(tmp_path: Path) -> None:
    assert answer(turns(tmp_path, "- say: bye"), "hi", [], []).text == "bye"


def test_a_script_that_runs_out_names_agent_and_turn(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=r"script.yaml:4: .*agent 'a' has no turn 2"):
        answer(turns(tmp_path, "- call: {tool: x}"), "hi", [result("1")])


def test_an_undefined_name_is_a_fault_with_its_line(tmp_path: Path) -> None:
    script = turns(tmp_path, '- say: "{{ nothing_here }}"')
    with pytest.raises(SpecError, match=r"script.yaml:4: .*'nothing_here' is undefined"):
        answer(script)


def test_a_fault_after_a_failed_call_says_so(tmp_path: Path) -> None:
    script = turns(tmp_path, '- call: {tool: x}\n- say: "{{ last[0].data.n }}"')
    with pytest.raises(SpecError, match="call of recall had failed: no such library"):
        answer(script, "hi", [result("no such library", failed=True)])


def test_templates_cannot_reach_pythons_insides(tmp_path: Path) -> None:
    script = turns(tmp_path, """- say: "{{ ''.__class__.__mro__ }}" """)
    with pytest.raises(SpecError, match="unsafe"):
        answer(script)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("agents: {a: {turns: [{sya: x}]}}", "unknown key. Did you mean 'say'?"),
        ("agents: {a: {turns: [{say: '{{ x'}]}}", "not a valid template"),
        ("agents: {a: {turns: [{when: '1 +', say: x}]}}", "not a valid template"),
        ("agents: {a: {turns: [{call: {args: {}}}]}}", "names no tool"),
        ("agents: {a: {turns: [{call: {tool: x, for: last}}]}}", "must read `NAME in EXPRESSION`"),
        ("agents: {a: {turns: [{delay_ms: 1}]}}", "neither says nor calls"),
        ("agents: {a: {turns: [{say: x, delay_ms: soon}]}}", "number of milliseconds"),
        ("agents: {a: {turns: []}}", "must be a list of turns"),
        ("agents: {a: {turns: [hello]}}", "must be a mapping, got str"),
        ("agents: {a: {turns: [{say: x}]}, a: {turns: [{say: y}]}}", "'a' is there twice"),
        ("", "must be a mapping, got nothing"),
        ("a: [", "not valid YAML"),
        ("a: &x [1,2]\nb: !!python/object:os.system x", "not valid YAML"),
    ],
)
def test_a_bad_script_is_refused(tmp_path: Path, text: str, fault: str) -> None:
    with pytest.raises(SpecError) as raised:
        read(tmp_path, text)
    assert fault in str(raised.value)
    assert "script.yaml" in str(raised.value)


def test_every_fault_is_told_at_once_with_its_line(tmp_path: Path) -> None:
    with pytest.raises(SpecError) as raised:
        turns(tmp_path, "- {sya: x}\n- {say: '{{'}")
    assert [fault.split(": ")[0].rsplit(":", 1)[1] for fault in raised.value.faults][-1] == "5"
    assert len(raised.value.faults) >= 2


def test_aliases_that_multiply_are_refused(tmp_path: Path) -> None:
    layers = "\n".join(f"l{i}: &l{i} [{', '.join([f'*l{i - 1}'] * 9)}]" for i in range(1, 9))
    with pytest.raises(SpecError, match="more than"):
        read(tmp_path, f"l0: &l0 [x]\n{layers}\n")


def test_a_missing_or_binary_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="cannot read the script"):
        scripted.load(tmp_path / "none.yaml")
    (tmp_path / "b.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(SpecError, match="UTF-8"):
        scripted.load(tmp_path / "b.yaml")


def test_an_agent_without_turns_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="no turns for 'b'"):
        turns(tmp_path, "- say: x").model("b")


def measuring(script: scripted.Script) -> Agent[None, str]:
    agent = Agent(script.model("a"), instructions="Measure.")

    @agent.tool_plain
    def measure(text: str) -> str:
        if text == "bad":
            raise ToolFailed("cannot measure bad")
        return json.dumps({"words": len(text.split())})

    return agent


@pytest.mark.anyio
async def test_an_agent_runs_on_a_script_with_real_tools_and_counted_usage(tmp_path: Path) -> None:
    script = turns(
        tmp_path,
        """
- call: [{tool: measure, args: {text: "{{ input }}"}}, {tool: measure, args: {text: bad}}]
- say: "{{ last[0].data.words }} words, {{ last[1].error }}, {{ last[0].args.text }}"
""",
    )
    model = script.model("a")
    assert model.model_id == "scripted:a"
    run = await measuring(script).run("one two three")
    assert run.output == "3 words, cannot measure bad, one two three"
    assert run.usage.input_tokens > 10
    assert run.usage.output_tokens > 10


@pytest.mark.anyio
async def test_a_scripted_answer_streams_word_by_word(tmp_path: Path) -> None:
    script = turns(tmp_path, '- say: "one two  three\\nfour"')
    heard: list[str] = []
    async with measuring(script).run_stream("x") as stream:
        heard = [part async for part in stream.stream_text(delta=True, debounce_by=None)]
        usage = stream.usage
    assert heard == ["one", " two", "  three", "\nfour"]
    assert usage.output_tokens == 5


@pytest.mark.anyio
async def test_a_run_resumed_from_its_messages_continues_at_the_same_turn(tmp_path: Path) -> None:
    script = turns(
        tmp_path,
        '- call: {tool: measure, args: {text: "{{ input }}"}}\n- say: "{{ last[0].data.words }}"',
    )
    first = await measuring(script).run("a b")
    history: Any = first.all_messages()[:-1]  # up to the tool's result, as after a kill
    resumed = await measuring(script).run(message_history=history)
    assert resumed.output == "2"
