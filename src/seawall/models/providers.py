"""Real models: `anthropic:…`, `openai:…` and any server that speaks like either, by `base_url`.

One provider's library is imported only when a model of it is built: each costs tens of megabytes.
"""

from __future__ import annotations

import re
import ssl
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from seawall.errors import OperatorError
from seawall.wire.profiles import ModelProfile

if TYPE_CHECKING:
    import httpx2
    from pydantic_ai.models import Model
    from pydantic_ai.settings import ModelSettings

    from .retries import OnRetry

CONNECT_SECONDS_MAX = 10.0
Identity = Callable[[], Mapping[str, str]]
NO_KEY = "no-key-needed"
"""Sent to servers that want no key: both client libraries refuse to send nothing."""


def build(
    profile: ModelProfile,
    key: str | None,
    *,
    keys: Mapping[str, str] | None = None,
    on_retry: OnRetry | None = None,
    sleep: Callable[[float], Any] | None = None,
    identity: Identity | None = None,
    cas: Sequence[Path] = (),
) -> Model:
    """The model a profile describes, its fallbacks behind it.

    `key` is the profile's own; `keys` are those of its fallbacks, by name of secret. `identity` is
    asked before each request for the headers that say who asks, where a gateway adds the key; `cas`
    are CA files trusted besides the public ones. Raises
    OperatorError for an unknown provider or a missing key, now, and for a model that fails, later.
    """
    known = {**(keys or {}), **({profile.secret: key} if profile.secret and key else {})}
    making = _Making(on_retry, sleep, identity, cas)
    first = _patient(profile, key, making)
    if not profile.fallbacks:
        return first
    others = [
        build(
            other,
            known.get(other.secret or ""),
            keys=known,
            on_retry=on_retry,
            sleep=sleep,
            identity=identity,
            cas=cas,
        )
        for other in profile.fallbacks
    ]
    from .fallbacks import FallingBackModel

    return FallingBackModel(profile, first, *others)


class _Making(NamedTuple):
    """What all models of one agent are made with."""

    on_retry: OnRetry | None
    sleep: Callable[[float], Any] | None
    identity: Identity | None
    cas: Sequence[Path] = ()


def _patient(profile: ModelProfile, key: str | None, making: _Making) -> Model:
    provider, _, name = profile.ref.partition(":")
    makers: dict[str, Callable[[ModelProfile, str, str, _Making], Model]] = {
        "anthropic": _anthropic,
        "openai": _openai,
    }
    if provider not in makers or not name:
        raise OperatorError(
            f"model {profile.ref}",
            "no such provider",
            f"Write {' or '.join(f'{known}:NAME' for known in makers)}",
        )
    wanted = profile.secret is not None or (profile.base_url or profile.gateway_url) is None
    if not key and wanted:
        raise _no_key(profile, provider)

    from .retries import Patience, RetryingModel

    patience = Patience(profile, key, making.on_retry)
    if making.sleep is not None:
        patience = Patience(profile, key, making.on_retry, making.sleep)
    made = makers[provider](profile, name, key or NO_KEY, making)
    return RetryingModel(made, patience)


def _no_key(profile: ModelProfile, provider: str) -> OperatorError:
    secret = profile.secret or f"{provider.upper()}_API_KEY"
    return OperatorError(
        f"model {profile.ref}",
        f"the key {secret} is not set",
        f"Set {secret}, or run with --offline to answer from the spec's script",
    )


def _anthropic(profile: ModelProfile, name: str, key: str, making: _Making) -> Model:
    from anthropic import AsyncAnthropic
    from pydantic_ai.models.anthropic import AnthropicModel
    from pydantic_ai.providers.anthropic import AnthropicProvider

    from .model_errors import HOMES

    http = _http_client(profile, making)
    client = AsyncAnthropic(
        api_key=key,
        base_url=profile.gateway_url or profile.base_url or HOMES["anthropic"],
        http_client=http,
        max_retries=0,
    )
    provider = AnthropicProvider(anthropic_client=client)
    _own(provider, http, profile, making)
    return AnthropicModel(name, provider=provider, settings=_settings(profile))


def _openai(profile: ModelProfile, name: str, key: str, making: _Making) -> Model:
    from openai import AsyncOpenAI
    from pydantic_ai.models.openai import OpenAIChatModel
    from pydantic_ai.profiles.openai import OpenAIModelProfile
    from pydantic_ai.providers.openai import OpenAIProvider
    from pydantic_ai.providers.openai_compatible import OpenAICompatibleProvider

    from .model_errors import HOMES

    http = _http_client(profile, making)
    base_url = profile.base_url or HOMES["openai"]
    url = profile.gateway_url or base_url
    client = AsyncOpenAI(api_key=key, base_url=url, http_client=http, max_retries=0)
    settings = _settings(profile)
    # Ollama knows only `max_tokens`; OpenAI's own newer models know only `max_completion_tokens`.
    if base_url == HOMES["openai"] or re.match(r"(gpt-\d|o\d)", name):
        ours = OpenAIProvider(openai_client=client)
        _own(ours, http, profile, making)
        return OpenAIChatModel(name, provider=ours, settings=settings)
    theirs = OpenAICompatibleProvider(
        "openai-compatible",
        openai_client=client,
        profile=OpenAIModelProfile(openai_chat_supports_max_completion_tokens=False),
    )
    _own(theirs, http, profile, making)
    return OpenAIChatModel(name, provider=theirs, settings=settings)


def _settings(profile: ModelProfile) -> ModelSettings:
    from pydantic_ai.settings import ModelSettings

    settings = ModelSettings(max_tokens=profile.output_tokens_max)
    if profile.temperature is not None:
        settings["temperature"] = profile.temperature
    return settings


def _http_client(profile: ModelProfile, making: _Making) -> httpx2.AsyncClient:
    import httpx2

    identity = making.identity

    async def identify(request: httpx2.Request) -> None:
        assert identity is not None  # noqa: S101 - only then is it a hook
        request.headers.pop("x-api-key", None)
        request.headers.update(identity())

    silence = profile.timeout_seconds
    timeout = httpx2.Timeout(silence, connect=min(silence, CONNECT_SECONDS_MAX))
    # No redirects: a key goes to the server that the spec names, and nowhere else.
    # No proxy from the environment either: a container's is for other hosts.
    return httpx2.AsyncClient(
        timeout=timeout,
        follow_redirects=False,
        event_hooks={"request": [identify] if identity else []},
        trust_env=identity is None,
        verify=_trusting(making.cas) if making.cas else True,
    )


def _trusting(cas: Sequence[Path]) -> ssl.SSLContext:
    import httpx2

    context = httpx2.create_ssl_context()
    for file in cas:
        context.load_verify_locations(file)
    return context


def _own(provider: Any, http: httpx2.AsyncClient, profile: ModelProfile, making: _Making) -> None:
    # pydantic-ai closes a client when the agent that uses it closes, and makes it anew on another
    # event loop, but only one that it made itself; a client with retries off must come from us.
    provider._own_http_client = http
    provider._http_client_factory = lambda: _http_client(profile, making)
