"""OpenAI's Chat Completions API as its clients see it.

Source: platform.openai.com/docs/api-reference/chat.
"""

from __future__ import annotations

import json
import re
from typing import Any

from .scripted import Conversation, Reply, ToolResult

PATH = "/v1/chat/completions"

_ERROR_TYPES = {
    400: ("invalid_request_error", None, "The request is not valid."),
    401: ("invalid_request_error", "invalid_api_key", "Incorrect API key provided."),
    403: ("permission_error", None, "You may not use this resource."),
    404: ("invalid_request_error", "model_not_found", "Not found."),
    429: ("requests", "rate_limit_exceeded", "Rate limit reached."),
    503: ("server_error", None, "The server is overloaded."),
}


def key(headers: dict[str, str]) -> str | None:
    """The key of a request."""
    return headers.get("authorization", "")[len("Bearer ") :] or None


def conversation(body: dict[str, Any]) -> Conversation:
    """What was said and done so far."""
    text: str | None = None
    calls: dict[str, tuple[str, dict[str, Any]]] = {}
    exchanges: list[list[ToolResult]] = []
    for message in body["messages"]:
        role = message["role"]
        if role == "user" and text is None:
            text = _text(message["content"])
        elif role == "assistant":
            exchanges.append([])
            for call in message.get("tool_calls") or []:
                function = call["function"]
                calls[call["id"]] = function["name"], json.loads(function["arguments"] or "{}")
        elif role == "tool" and exchanges:
            name, args = calls.get(message["tool_call_id"], ("", {}))
            exchanges[-1].append(_result(name, args, _text(message["content"])))
    return Conversation(text or "", tuple(tuple(exchange) for exchange in exchanges))


def whole(body: dict[str, Any], reply: Reply, usage: tuple[int, int]) -> dict[str, Any]:
    """The response of a request that does not stream."""
    message: dict[str, Any] = {"role": "assistant", "content": reply.text or None, "refusal": None}
    if reply.calls:
        message["tool_calls"] = [
            {
                "id": call.id,
                "type": "function",
                "function": {"name": call.tool, "arguments": json.dumps(call.args)},
            }
            for call in reply.calls
        ]
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": _finish(reply)}
    return {**_frame(body, "chat.completion"), "choices": [choice], "usage": _usage(usage)}


def events(body: dict[str, Any], reply: Reply, usage: tuple[int, int]) -> list[str]:
    """The response of a request that streams."""
    made = [_chunk(body, {"role": "assistant", "content": "" if reply.text else None})]
    made += [_chunk(body, {"content": w}) for w in re.findall(r"\s*\S+|\s+$", reply.text)]
    for index, call in enumerate(reply.calls):
        text = json.dumps(call.args)
        start = {"index": index, "id": call.id, "type": "function"}
        start["function"] = {"name": call.tool, "arguments": ""}
        made.append(_chunk(body, {"tool_calls": [start]}))
        for half in (text[: len(text) // 2], text[len(text) // 2 :]):
            more = {"index": index, "function": {"arguments": half}}
            made.append(_chunk(body, {"tool_calls": [more]}))
    made.append(_chunk(body, {}, _finish(reply)))
    if (body.get("stream_options") or {}).get("include_usage"):
        last = {**_frame(body, "chat.completion.chunk"), "choices": [], "usage": _usage(usage)}
        made.append(_event(last))
    return [*made, "data: [DONE]\n\n"]


def error(status: int, message: str = "") -> dict[str, Any]:
    """The body of an error."""
    kind, code, words = _ERROR_TYPES.get(status, ("server_error", None, "Something went wrong."))
    if message.startswith("This model's maximum context"):
        code = "context_length_exceeded"
    return {"error": {"message": message or words, "type": kind, "param": None, "code": code}}


def error_event() -> str:
    """An error inside a stream."""
    return _event(error(503))


def too_long(tokens: int, most: int) -> str:
    """The words for a conversation that is too long."""
    return (
        f"This model's maximum context length is {most} tokens. "
        f"However, your messages resulted in {tokens} tokens."
    )


def unknown_model(model: str) -> str:
    """The words for a model that is not there."""
    return f"The model `{model}` does not exist or you do not have access to it."


def _frame(body: dict[str, Any], kind: str) -> dict[str, Any]:
    number = len(body["messages"])
    return {"id": f"chatcmpl-{number}", "object": kind, "created": 1, "model": body["model"]}


def _chunk(body: dict[str, Any], delta: dict[str, Any], finish: str | None = None) -> str:
    choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
    return _event({**_frame(body, "chat.completion.chunk"), "choices": [choice]})


def _event(value: dict[str, Any]) -> str:
    return f"data: {json.dumps(value)}\n\n"


def _finish(reply: Reply) -> str:
    return "tool_calls" if reply.calls else "stop"


def _usage(usage: tuple[int, int]) -> dict[str, int]:
    return {
        "prompt_tokens": usage[0],
        "completion_tokens": usage[1],
        "total_tokens": sum(usage),
    }


def _text(content: Any) -> str:
    if isinstance(content, str) or content is None:
        return content or ""
    return "\n".join(part.get("text", "") for part in content)


def _result(name: str, args: dict[str, Any], text: str) -> ToolResult:
    # The protocol cannot say that a tool failed: clients say it in the text, as {"error": …}.
    result = ToolResult.of(name, args, text, failed=False)
    if isinstance(result.data, dict) and set(result.data) == {"error"}:
        said = str(result.data["error"])
        return ToolResult(name, args, said, None, said)
    return result
