"""Checks a spec's models, their prices and the secrets it names. Reads no secret."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from .agents import DeclaredAgent
from .base import Auth, BearerAuth
from .faults import Path, nearest
from .model import FileSecret, Spec
from .profiles import KEYS, profile, provider, secret
from .tools import ProgramKeys, UrlSpec
from .units import is_loopback

if TYPE_CHECKING:
    from .checks import Checker

PRICED = frozenset(
    {
        "anthropic:claude-haiku-4-5", "anthropic:claude-opus-4-1", "anthropic:claude-opus-4-5",
        "anthropic:claude-sonnet-4-0", "anthropic:claude-sonnet-4-5", "openai:gpt-4.1",
        "openai:gpt-4.1-mini", "openai:gpt-4o", "openai:gpt-4o-mini", "openai:gpt-5",
        "openai:gpt-5-mini",
    }
)  # fmt: skip
"""Models that the price library knows: asking it takes 0.3 s. A test asks it for each."""
TYPO_RATIO_MIN = 0.85
"""Two secrets' names more alike than this, one of them undeclared, are taken for one mistyped."""


def host(url: str) -> str:
    """The host's name of a URL."""
    return urlsplit(url).hostname or ""


def check_models(checker: Checker) -> None:
    """Every model named must exist, be reachable safely, and be priced if dollars are counted."""
    spec = checker.spec
    usable = {n for n, path in _named(spec) if _known(checker, n, path)}
    for name, settings in spec.models.items():
        here: Path = ("models", name)
        if settings.model is None and ":" not in name:
            checker.add(here, "has no model", "Add model: provider:name")
        elif settings.model in spec.models and settings.model != name:
            checker.add((*here, "model"), "must be provider:name, not another entry of models")
        if settings.model is not None or ":" in name:
            _provider(checker, (*here, "model") if settings.model else here, provider(spec, name))
        if name in settings.fallbacks:
            checker.add((*here, "fallbacks"), "falls back to itself", "Remove it")
        key = secret(spec, name)
        _key_in_clear(checker, here, settings.base_url, key, settings.allow_plain_http)
    for name, agent in spec.agents.items():
        if isinstance(agent, DeclaredAgent) and agent.model is None and not spec.defaults.model:
            remedy = "Add defaults: {model: provider:name}"
            checker.add(("agents", name), "has no model, and there is no default", remedy)
    _prices(checker, usable)


def _named(spec: Spec) -> Iterator[tuple[str, Path]]:
    """Every model that is named to be used, and where."""
    if spec.defaults.model:
        yield spec.defaults.model, ("defaults", "model")
    for name, agent in spec.agents.items():
        if agent.model:
            yield agent.model, ("agents", name, "model")
    for name, settings in spec.models.items():
        for index, fallback in enumerate(settings.fallbacks):
            yield fallback, ("models", name, "fallbacks", index)


def _known(checker: Checker, name: str, path: Path) -> bool:
    if name in checker.spec.models:
        return checker.spec.models[name].model is not None or ":" in name
    if ":" not in name:
        remedy = nearest(name, checker.spec.models, "models")
        remedy = "Write provider:name" if remedy.startswith("None") else remedy
        checker.add(path, f"there is no model {name!r}", remedy)
        return False
    return _provider(checker, path, name.partition(":")[0]) and bool(name.partition(":")[2])


def _provider(checker: Checker, path: Path, word: str) -> bool:
    if word in KEYS:
        return True
    hint = nearest(word, KEYS, "providers")
    remedy = (
        hint if hint.endswith("?") else f"{hint}; for a compatible server, openai: with base_url"
    )
    checker.add(path, f"there is no provider {word!r}", remedy)
    return False


def _key_in_clear(
    checker: Checker, here: Path, url: str | None, key: str | None, allowed: bool
) -> None:
    if not url or not key or allowed or not url.startswith("http:") or is_loopback(host(url)):
        return
    fault = "would send a key without TLS to another machine"
    checker.add((*here, "base_url"), fault, "Use https, or set allow_plain_http: true")


def _prices(checker: Checker, usable: set[str]) -> None:
    """A budget in dollars that cannot be counted would never be reached: refused."""
    budgets = checker.spec.budgets
    paths: list[Path] = [
        ("budgets", key, "usd") for key, b in (("run", budgets.run), ("day", budgets.day)) if b.usd
    ]
    paths += [
        ("agents", n, "budget", "usd") for n, a in checker.spec.agents.items() if a.budget.usd
    ]
    told: set[str] = set()
    for name, path in _named(checker.spec) if paths else ():
        if name in usable and name not in told:
            told.add(name)
            if not _is_priced(checker.spec, name):
                wanted = "/".join(str(part) for part in paths[0])
                fault = f"no price is known for {name!r}, and {wanted} must be counted"
                remedy = f"Give models/{name}/prices (zero is a price), or remove the usd budgets"
                checker.add(path, fault, remedy)


def _is_priced(spec: Spec, name: str) -> bool:
    settings = spec.models.get(name)
    if name in PRICED if settings is None else settings.prices is not None:
        return True
    from seawall.models import prices  # late: its data takes long to import

    return prices.find(profile(spec, name, fallbacks=False)) is not None


def check_secrets(checker: Checker) -> None:
    """Files of secrets exist; a name that looks mistyped is not taken for a variable."""
    declared = checker.spec.secrets
    for name, source in declared.items():
        if isinstance(source, FileSecret):
            checker.file(("secrets", name, "file"), source.file)
    unknown = [u for u in used(checker.spec) if u[0] not in declared and u[0] not in KEYS.values()]
    if not unknown or not declared:
        return
    import difflib  # late: seldom needed

    for name, path in unknown:
        near = difflib.get_close_matches(name, declared, n=1, cutoff=TYPO_RATIO_MIN)
        if near:
            remedy = f"Did you mean {near[0]!r}? If not, add secrets: {{{name}: {{env: {name}}}}}"
            checker.add(path, f"there is no secret {name!r}", remedy)


def used(spec: Spec) -> Iterator[tuple[str, Path]]:
    """Every secret that the spec names outside `secrets`, and where."""
    for name, settings in spec.models.items():
        if settings.secret:
            yield settings.secret, ("models", name, "secret")
    workloads = [*((("agents", n), a) for n, a in spec.agents.items())]
    for here, agent in workloads:
        yield from _of_egress((*here, "egress"), [e.auth for e in agent.egress])
    for name, tool in spec.tools.items():
        yield from _of_egress(("tools", name, "egress"), [e.auth for e in tool.egress])
        if isinstance(tool, ProgramKeys):
            yield from ((s, ("tools", name, "secrets", i)) for i, s in enumerate(tool.secrets))
        if isinstance(tool, UrlSpec) and tool.auth:
            yield tool.auth.secret, ("tools", name, "auth", "secret")


def _of_egress(here: Path, auths: list[Auth | None]) -> Iterator[tuple[str, Path]]:
    for index, auth in enumerate(auths):
        if isinstance(auth, BearerAuth):
            yield auth.bearer, (*here, index, "auth", "bearer")
        elif auth is not None:
            yield auth.secret, (*here, index, "auth", "secret")
