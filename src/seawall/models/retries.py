"""Tries a model again while waiting may help, also when its stream is cut in the middle.

A response counts only when it is whole (nothing of it is in the journal before), so a cut one is
asked for again from the start.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from pydantic_ai import RunContext
from pydantic_ai.exceptions import AgentRunError
from pydantic_ai.messages import ModelMessage, ModelResponse, ModelResponseStreamEvent
from pydantic_ai.models import Model, ModelRequestParameters, StreamedResponse
from pydantic_ai.models.wrapper import WrapperModel
from pydantic_ai.settings import ModelSettings
from pydantic_ai.usage import RequestUsage

from seawall.wire.profiles import ModelProfile

from .model_errors import CutStreamError, denied, explain, is_passing

BACKOFF_SECONDS_FIRST = 0.5
BACKOFF_SECONDS_MAX = 30.0
RETRY_AFTER_SECONDS_MAX = 120.0
"""A server may ask for this long a wait; one that asks for more is asked again after this."""

OnRetry = Callable[[int, str, float], None]
"""Called before each wait with the attempt that failed (from 1), why, and the wait in seconds."""


@dataclass(frozen=True)
class Patience:
    """How one model is tried again."""

    profile: ModelProfile
    key: str | None = field(repr=False)
    on_retry: OnRetry | None = None
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    jitter: Callable[[], float] = random.random

    async def wait(self, error: AgentRunError, attempt: int) -> None:
        """Wait before the next attempt, or raise OperatorError when there is none."""
        if limit := denied(error):
            raise limit from None
        if attempt > self.profile.retries_max or not is_passing(error):
            raise explain(error, self.profile, self.key, attempt) from None
        delay = self._delay(error, attempt)
        if self.on_retry is not None:
            reason = explain(error, self.profile, self.key, 1).fault
            self.on_retry(attempt, reason, delay)
        await self.sleep(delay)

    def _delay(self, error: AgentRunError, attempt: int) -> float:
        asked: float | None = getattr(error, "retry_after", None)
        if asked is not None:
            return min(asked, RETRY_AFTER_SECONDS_MAX)
        backoff = min(BACKOFF_SECONDS_FIRST * 2.0 ** (attempt - 1), BACKOFF_SECONDS_MAX)
        return backoff * (0.5 + self.jitter() / 2)


class RetryingModel(WrapperModel):
    """A model that is patient, and whose failures are OperatorErrors without secrets."""

    def __init__(self, wrapped: Model, patience: Patience) -> None:
        super().__init__(wrapped)
        self._patience = patience

    async def request(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
    ) -> ModelResponse:
        """One whole response. Raises OperatorError once patience has run out."""
        attempt = 0
        while True:
            attempt += 1
            try:
                return await self.wrapped.request(
                    messages, model_settings, model_request_parameters
                )
            except AgentRunError as error:
                await self._patience.wait(error, attempt)

    @asynccontextmanager
    async def request_stream(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
        run_context: RunContext[Any] | None = None,
    ) -> AsyncGenerator[StreamedResponse]:
        """One streamed response; after a cut, its parts start anew at index 0."""
        stream = RetryingStream(
            model_request_parameters=model_request_parameters,
            _open=lambda: self.wrapped.request_stream(
                messages, model_settings, model_request_parameters, run_context
            ),
            _patience=self._patience,
        )
        await stream.open()
        try:
            yield stream
        finally:
            await stream.leave()


@dataclass
class RetryingStream(StreamedResponse):
    """Passes on the events of one attempt after another, until one is whole."""

    _open: Callable[[], AbstractAsyncContextManager[StreamedResponse]]
    _patience: Patience
    _attempt: int = 0
    _spent: RequestUsage = field(default_factory=RequestUsage)
    """What attempts that were cut had cost."""
    _inner: StreamedResponse = field(init=False)
    _context: AbstractAsyncContextManager[StreamedResponse] | None = None

    async def open(self) -> None:
        """Open the next attempt's stream."""
        while True:
            self._attempt += 1
            context = self._open()
            try:
                self._inner = await context.__aenter__()
            except AgentRunError as error:
                await self._patience.wait(error, self._attempt)
            else:
                self._context = context
                # Readers look at the parts through this object.
                self.__dict__["_parts_manager"] = self._inner._parts_manager
                return

    async def leave(self) -> None:
        """Close the current attempt's stream."""
        context, self._context = self._context, None
        if context is not None:
            await context.__aexit__(None, None, None)

    def __aiter__(self) -> AsyncIterator[ModelResponseStreamEvent]:
        """The events of the response."""
        if self._event_iterator is None:
            self._event_iterator = self._get_event_iterator()
        return self._event_iterator

    async def _get_event_iterator(self) -> AsyncIterator[ModelResponseStreamEvent]:
        while True:
            try:
                async for event in self._inner:
                    self._follow()
                    yield event
                self._follow()
                self._refuse_cut()
                self._finished = not self._cancelled
                return
            except AgentRunError as error:
                if self._cancelled:
                    return
                self._spent = self._spent + self._inner.usage
                await self.leave()
                await self._patience.wait(error, self._attempt)
            await self.open()

    def _follow(self) -> None:
        self.final_result_event = self._inner.final_result_event
        self.finish_reason = self._inner.finish_reason
        self.provider_response_id = self._inner.provider_response_id
        self.provider_details = self._inner.provider_details
        self.state = self._inner.state

    def _refuse_cut(self) -> None:
        # A proxy that dies can end a chunked body properly; only the provider's own finish reason
        # (pydantic-ai fills in one of its own for OpenAI) says that the model had finished.
        if not self._cancelled and not (self._inner.provider_details or {}).get("finish_reason"):
            raise CutStreamError(self.model_name, "the stream ended early")

    def get(self) -> ModelResponse:
        """The response so far."""
        return replace(self._inner.get(), usage=self.usage)

    @property
    def usage(self) -> RequestUsage:
        """What the response has cost so far, cut attempts included."""
        return self._spent + self._inner.usage

    async def close_stream(self) -> None:
        """Stop the current attempt."""
        await self._inner.cancel()

    @property
    def model_name(self) -> str:
        """The model's name as its provider says it."""
        return self._inner.model_name

    @property
    def provider_name(self) -> str | None:
        """The provider's name."""
        return self._inner.provider_name

    @property
    def provider_url(self) -> str | None:
        """The server's address."""
        return self._inner.provider_url

    @property
    def timestamp(self) -> datetime:
        """When the response began."""
        return self._inner.timestamp
