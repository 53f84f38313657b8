"""Another model when the first fails for good."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

from pydantic_ai import RunContext
from pydantic_ai.exceptions import FallbackExceptionGroup
from pydantic_ai.messages import ModelMessage, ModelResponse
from pydantic_ai.models import Model, ModelRequestParameters, StreamedResponse
from pydantic_ai.models.fallback import FallbackModel
from pydantic_ai.settings import ModelSettings

from seawall.errors import OperatorError
from seawall.wire.profiles import ModelProfile


class FallingBackModel(FallbackModel):
    """Tries its models in order; when all fail, one OperatorError says why each did."""

    def __init__(self, profile: ModelProfile, first: Model, *others: Model) -> None:
        super().__init__(first, *others, fallback_on=(OperatorError,))
        self._ref = profile.ref

    async def request(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
    ) -> ModelResponse:
        """One whole response, from the first model that gives one."""
        try:
            return await super().request(messages, model_settings, model_request_parameters)
        except FallbackExceptionGroup as group:
            raise self._all_failed(group) from None

    @asynccontextmanager
    async def request_stream(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
        run_context: RunContext[Any] | None = None,
    ) -> AsyncGenerator[StreamedResponse]:
        """One streamed response, from the first model that begins one."""
        try:
            async with super().request_stream(
                messages, model_settings, model_request_parameters, run_context
            ) as stream:
                yield stream
        except FallbackExceptionGroup as group:
            raise self._all_failed(group) from None

    def _all_failed(self, group: FallbackExceptionGroup) -> OperatorError:
        reasons = "; ".join(str(error).rstrip(".") for error in group.exceptions)
        return OperatorError(
            f"model {self._ref} and its fallbacks", reasons, "Mend one of them, or add another"
        )
