"""The templates in a script: sandboxed Jinja, where a lone `{{ expression }}` keeps its type."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

from jinja2 import StrictUndefined, TemplateError, nodes
from jinja2.runtime import Undefined
from jinja2.sandbox import ImmutableSandboxedEnvironment

Render = Callable[[Mapping[str, Any]], Any]


class TemplateFault(Exception):  # noqa: N818 - a fault in a place, like the others
    """A template that cannot be read or filled; the caller adds the place."""


class Templates:
    """Compiles templates; a compiled one is called with its variables."""

    def __init__(self) -> None:
        # A script is data: it may not reach Python's insides (`__class__`), nor change its input.
        self._env = ImmutableSandboxedEnvironment(
            undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, autoescape=False
        )
        self._env.filters["tojson"] = _to_json
        self._env.filters["fromjson"] = json.loads
        self._env.filters["find"] = _find

    def expression(self, source: str) -> Render:
        """A bare expression, as in `when: last[0].error`; renders to a native value."""
        try:
            call = self._env.compile_expression(source, undefined_to_none=False)
        except TemplateError as error:
            raise TemplateFault(str(error)) from None
        return lambda variables: _checked(lambda: call(**variables))

    def text(self, source: str) -> Render:
        """A template that always renders to text."""
        try:
            template = self._env.from_string(source)
        except TemplateError as error:
            raise TemplateFault(str(error)) from None
        return lambda variables: _checked(lambda: template.render(**variables))

    def value(self, source: Any) -> Render:
        """Any YAML value with templates in its strings; exactly one expression keeps its type."""
        if isinstance(source, dict):
            made = {key: self.value(item) for key, item in source.items()}
            return lambda variables: {key: item(variables) for key, item in made.items()}
        if isinstance(source, list):
            items = [self.value(item) for item in source]
            return lambda variables: [item(variables) for item in items]
        if not isinstance(source, str):
            return constant(source)
        lone = self._lone_expression(source)
        return self.expression(lone) if lone is not None else self.text(source)

    def _lone_expression(self, source: str) -> str | None:
        try:
            body = self._env.parse(source.strip()).body
        except TemplateError as error:
            raise TemplateFault(str(error)) from None
        if len(body) != 1 or not isinstance(body[0], nodes.Output):
            return None
        if len(body[0].nodes) != 1 or isinstance(body[0].nodes[0], nodes.TemplateData):
            return None
        return re.sub(r"^\{\{[-+]?|[-+]?\}\}$", "", source.strip())


def constant(value: Any) -> Render:
    """Renders to `value`, whatever the variables."""
    return lambda _: value


def _checked(render: Callable[[], Any]) -> Any:
    try:
        value = render()
        if isinstance(value, Undefined):
            str(value)  # StrictUndefined raises with the name
        return value
    except Exception as error:  # noqa: BLE001 - a template runs any filter, so it can raise anything
        raise TemplateFault(str(error) or type(error).__name__) from None


def _to_json(value: Any, indent: int | None = None) -> str:
    # Jinja's own escapes <, > and & for HTML pages; a model's text is none.
    return json.dumps(value, ensure_ascii=False, indent=indent, default=vars)


def _find(text: str, pattern: str) -> str | None:
    """The first match's first group, or the whole match; None when there is none."""
    match = re.search(pattern, text)
    return None if match is None else match.group(1 if match.re.groups else 0)
