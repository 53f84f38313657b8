"""Anthropic's Messages API as its clients see it.

Source: docs.anthropic.com/en/api/messages.
"""

from __future__ import annotations

import json
import re
from typing import Any

from .scripted import Conversation, Reply, ToolResult

PATH = "/v1/messages"

_ERROR_TYPES = {
    400: ("invalid_request_error", "The request is not valid."),
    401: ("authentication_error", "invalid x-api-key"),
    403: ("permission_error", "Your API key may not use this resource."),
    404: ("not_found_error", "Not found."),
    413: ("request_too_large", "Request exceeds the maximum size."),
    429: ("rate_limit_error", "This request would exceed your rate limit."),
    529: ("overloaded_error", "Overloaded"),
}


def key(headers: dict[str, str]) -> str | None:
    """The key of a request: newer clients send a bearer, older ones `x-api-key`."""
    return headers.get("x-api-key") or headers.get("authorization", "")[len("Bearer ") :] or None


def conversation(body: dict[str, Any]) -> Conversation:
    """What was said and done so far."""
    text: str | None = None
    calls: dict[str, tuple[str, dict[str, Any]]] = {}
    exchanges: list[list[ToolResult]] = []
    for message in body["messages"]:
        blocks = _blocks(message["content"])
        if message["role"] == "assistant":
            exchanges.append([])
            used = [block for block in blocks if block["type"] == "tool_use"]
            calls |= {block["id"]: (block["name"], block["input"]) for block in used}
            continue
        if text is None:
            text = _text(blocks)
        for block in blocks:
            if block["type"] == "tool_result" and exchanges:
                name, args = calls.get(block["tool_use_id"], ("", {}))
                said = _text(_blocks(block.get("content", "")))
                failed = bool(block.get("is_error"))
                exchanges[-1].append(ToolResult.of(name, args, said, failed))
    return Conversation(text or "", tuple(tuple(exchange) for exchange in exchanges))


def whole(body: dict[str, Any], reply: Reply, usage: tuple[int, int]) -> dict[str, Any]:
    """The response of a request that does not stream."""
    content: list[dict[str, Any]] = [{"type": "text", "text": reply.text}] if reply.text else []
    content += [
        {"type": "tool_use", "id": call.id, "name": call.tool, "input": call.args}
        for call in reply.calls
    ]
    return {
        **_message(body, usage),
        "content": content,
        "stop_reason": _stop(reply),
        "usage": {"input_tokens": usage[0], "output_tokens": usage[1]},
    }


def events(body: dict[str, Any], reply: Reply, usage: tuple[int, int]) -> list[str]:
    """The response of a request that streams."""
    made = [_event("message_start", message=_message(body, usage)), _event("ping")]
    index = 0
    if reply.text:
        words = re.findall(r"\s*\S+|\s+$", reply.text)
        deltas = [{"type": "text_delta", "text": word} for word in words]
        made += _block(index, {"type": "text", "text": ""}, deltas)
        index += 1
    for call in reply.calls:
        block = {"type": "tool_use", "id": call.id, "name": call.tool, "input": {}}
        text = json.dumps(call.args)
        halves = text[: len(text) // 2], text[len(text) // 2 :]
        deltas = [{"type": "input_json_delta", "partial_json": half} for half in halves]
        made += _block(index, block, deltas)
        index += 1
    delta = {"stop_reason": _stop(reply), "stop_sequence": None}
    made.append(_event("message_delta", delta=delta, usage={"output_tokens": usage[1]}))
    return [*made, _event("message_stop")]


def error(status: int, message: str = "") -> dict[str, Any]:
    """The body of an error."""
    kind, words = _ERROR_TYPES.get(status, ("api_error", "Internal server error"))
    return {
        "type": "error",
        "error": {"type": kind, "message": message or words},
        "request_id": "req_fake",
    }


def error_event() -> str:
    """An error inside a stream."""
    return f"event: error\ndata: {json.dumps(error(529))}\n\n"


def too_long(tokens: int, most: int) -> str:
    """The words for a conversation that is too long."""
    return f"prompt is too long: {tokens} tokens > {most} maximum"


def unknown_model(model: str) -> str:
    """The words for a model that is not there."""
    return f"model: {model}"


def _message(body: dict[str, Any], usage: tuple[int, int]) -> dict[str, Any]:
    return {
        "id": f"msg_fake_{len(body['messages'])}",
        "type": "message",
        "role": "assistant",
        "model": body["model"],
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": {"input_tokens": usage[0], "output_tokens": 1},
    }


def _stop(reply: Reply) -> str:
    return "tool_use" if reply.calls else "end_turn"


def _block(index: int, block: dict[str, Any], deltas: list[dict[str, str]]) -> list[str]:
    return [
        _event("content_block_start", index=index, content_block=block),
        *(_event("content_block_delta", index=index, delta=delta) for delta in deltas),
        _event("content_block_stop", index=index),
    ]


def _event(kind: str, **values: Any) -> str:
    return f"event: {kind}\ndata: {json.dumps({'type': kind, **values})}\n\n"


def _blocks(content: Any) -> list[dict[str, Any]]:
    return [{"type": "text", "text": content}] if isinstance(content, str) else list(content)


def _text(blocks: list[dict[str, Any]]) -> str:
    return "\n".join(block["text"] for block in blocks if block["type"] == "text")
