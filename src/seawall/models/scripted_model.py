"""A script as a pydantic-ai model, whole or streamed word by word."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncGenerator, AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from pydantic_ai import RunContext
from pydantic_ai.messages import (
    ModelMessage,
    ModelRequest,
    ModelResponse,
    ModelResponsePart,
    ModelResponseStreamEvent,
    TextPart,
    ToolCallPart,
    ToolReturnPart,
    UserPromptPart,
)
from pydantic_ai.models import Model, ModelRequestParameters, StreamedResponse
from pydantic_ai.settings import ModelSettings
from pydantic_ai.usage import RequestUsage

from .scripted import Conversation, Reply, Script, ToolResult

_CHARACTERS_PER_TOKEN = 4


class ScriptedModel(Model):
    """Answers for one agent from a script; usage is counted from the text's length."""

    def __init__(self, script: Script, agent: str) -> None:
        super().__init__()
        self._script = script
        self._agent = agent

    @property
    def model_name(self) -> str:
        """The agent's name; with `system` it makes `scripted:<agent>`."""
        return self._agent

    @property
    def system(self) -> str:
        """Always `scripted`."""
        return "scripted"

    async def request(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,  # noqa: ARG002 - a script has no settings
        model_request_parameters: ModelRequestParameters,  # noqa: ARG002
    ) -> ModelResponse:
        """The whole next response."""
        reply = self._script.reply(self._agent, conversation(messages))
        await asyncio.sleep(reply.delay_seconds)
        return ModelResponse(
            parts=_parts(reply),
            usage=_usage(messages, reply),
            model_name=self._agent,
            provider_name=self.system,
            finish_reason="tool_call" if reply.calls else "stop",
        )

    @asynccontextmanager
    async def request_stream(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,  # noqa: ARG002
        model_request_parameters: ModelRequestParameters,
        run_context: RunContext[Any] | None = None,  # noqa: ARG002
    ) -> AsyncGenerator[StreamedResponse]:
        """The next response, word by word; a turn's delay is spread over the words."""
        reply = self._script.reply(self._agent, conversation(messages))
        yield ScriptedStream(
            model_request_parameters=model_request_parameters,
            _agent=self._agent,
            _reply=reply,
            _total=_usage(messages, reply),
        )


@dataclass
class ScriptedStream(StreamedResponse):
    """One scripted response being streamed."""

    _agent: str
    _reply: Reply
    _total: RequestUsage
    _timestamp: datetime = field(default_factory=lambda: datetime.now(tz=UTC))

    async def _get_event_iterator(self) -> AsyncIterator[ModelResponseStreamEvent]:
        words = re.findall(r"\s*\S+|\s+$", self._reply.text)
        pause = self._reply.delay_seconds / max(len(words), 1)
        for word in words:
            await asyncio.sleep(pause)
            for event in self._parts_manager.handle_text_delta(vendor_part_id=0, content=word):
                yield event
        if not words:
            await asyncio.sleep(pause)
        for index, call in enumerate(self._reply.calls, start=1):
            yield self._parts_manager.handle_tool_call_part(
                vendor_part_id=index, tool_name=call.tool, args=call.args, tool_call_id=call.id
            )
        self.finish_reason = "tool_call" if self._reply.calls else "stop"
        self._usage = self._total

    async def close_stream(self) -> None:
        """Nothing is open."""

    @property
    def model_name(self) -> str:
        """The agent's name."""
        return self._agent

    @property
    def provider_name(self) -> str:
        """Always `scripted`."""
        return "scripted"

    @property
    def provider_url(self) -> None:
        """None: there is no server."""
        return

    @property
    def timestamp(self) -> datetime:
        """When the response began."""
        return self._timestamp


def conversation(messages: Iterable[ModelMessage]) -> Conversation:
    """What a script sees of pydantic-ai's messages."""
    text: str | None = None
    exchanges: list[list[ToolResult]] = []
    args: dict[str, dict[str, Any]] = {}
    for message in messages:
        if isinstance(message, ModelResponse):
            exchanges.append([])
            args |= {call.tool_call_id: _args(call) for call in message.tool_calls}
            continue
        for part in message.parts:
            if isinstance(part, UserPromptPart) and text is None:
                text = _prompt(part)
            elif isinstance(part, ToolReturnPart) and exchanges:
                exchanges[-1].append(_result(part, args.get(part.tool_call_id, {})))
    return Conversation(text or "", tuple(tuple(exchange) for exchange in exchanges))


def _prompt(part: UserPromptPart) -> str:
    if isinstance(part.content, str):
        return part.content
    return "\n".join(item for item in part.content if isinstance(item, str))


def _args(call: ToolCallPart) -> dict[str, Any]:
    try:
        return call.args_as_dict()
    except ValueError:
        return {}


def _result(part: ToolReturnPart, args: dict[str, Any]) -> ToolResult:
    text = part.model_response_str(wrap_if_error=False)
    return ToolResult.of(part.tool_name, args, text, failed=part.outcome != "success")


def _parts(reply: Reply) -> list[ModelResponsePart]:
    parts: list[ModelResponsePart] = [TextPart(reply.text)] if reply.text else []
    parts += [ToolCallPart(call.tool, call.args, call.id) for call in reply.calls]
    return parts or [TextPart("")]


def _usage(messages: Iterable[ModelMessage], reply: Reply) -> RequestUsage:
    read = sum(_length(message) for message in messages)
    written = len(reply.text) + sum(len(c.tool) + len(json.dumps(c.args)) for c in reply.calls)
    return RequestUsage(input_tokens=_tokens(read), output_tokens=_tokens(written))


def _length(message: ModelMessage) -> int:
    own = len(message.instructions or "") if isinstance(message, ModelRequest) else 0
    for part in message.parts:
        if isinstance(part, ToolReturnPart):
            own += len(part.model_response_str())
        elif isinstance(part, ToolCallPart):
            own += len(part.tool_name) + len(part.args_as_json_str())
        else:
            own += len(str(getattr(part, "content", "")))
    return own


def _tokens(characters: int) -> int:
    return -(-characters // _CHARACTERS_PER_TOKEN)
