"""Types and docstrings become a schema; arguments come back checked, or as words."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, Field

from seawall.bridges.mark import Mark
from seawall.bridges.schema import Fault, describe


class Place(BaseModel):
    city: str


@dataclass
class Span:
    first: int


def google(city: str, days: Annotated[int, Field(ge=1)] = 3) -> str:
    """Forecast the weather.

    For any city.

    Args:
        city: Where, as `City, Country`.
        days: How far
            ahead.

    Returns:
        Words.
    """
    return f"{city} {days}"


def numpy_style(city: str, days: int = 3) -> str:
    """Forecast the weather.

    For any city.

    Parameters
    ----------
    city : str
        Where, as `City, Country`.
    days : int
        How far ahead.
    """
    return f"{city} {days}"


def sphinx(city: str, days: int = 3) -> str:
    """Forecast the weather.

    For any city.

    :param city: Where, as `City, Country`.
    :param days: How far ahead.
    """
    return f"{city} {days}"


@pytest.mark.parametrize("function", [google, numpy_style, sphinx])
def test_each_docstring_style_describes_function_and_arguments(
    function: Callable[..., Any],
) -> None:
    info = describe(function, Mark()).info
    properties = info.input_schema["properties"]
    assert info.description == "Forecast the weather.\n\nFor any city."
    assert properties["city"]["description"] == "Where, as `City, Country`."
    assert properties["days"]["description"].split() == ["How", "far", "ahead."]
    assert info.input_schema["required"] == ["city"]
    assert info.input_schema["additionalProperties"] is False


def test_constraints_of_annotated_types_reach_the_schema_and_hold() -> None:
    callee = describe(google, Mark())
    assert callee.info.input_schema["properties"]["days"]["minimum"] == 1
    with pytest.raises(ValueError, match="days: Input should be greater than or equal to 1"):
        callee.arguments({"city": "Oslo", "days": 0})


def test_rich_types_are_built_for_the_function() -> None:
    def plan(where: Place, span: Span, day: date, kind: Literal["a", "b"] = "a") -> None: ...

    _, named = describe(plan, Mark()).arguments(
        {"where": {"city": "Oslo"}, "span": {"first": 1}, "day": "2026-01-02"}
    )
    assert named == {"where": Place(city="Oslo"), "span": Span(1), "day": date(2026, 1, 2)}


def test_argument_names_that_models_reserve_work() -> None:
    def odd(schema: str, model_config: int, copy: bool, _hidden: int = 1) -> None: ...

    given = {"schema": "x", "model_config": 2, "copy": True, "_hidden": 3}
    assert describe(odd, Mark()).arguments(given) == ([], given)


def test_positional_only_arguments_are_passed_by_place() -> None:
    def add(a: int, b: int = 2, /, *, c: int = 3) -> None: ...

    assert describe(add, Mark()).arguments({"a": 1, "c": 4}) == ([1, 2], {"c": 4})


def test_wrong_arguments_are_told_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match="city: Field required; town") as caught:
        describe(google, Mark()).arguments({"town": "Oslo"})
    assert "Arguments: city, days." in str(caught.value)


def test_a_function_without_types_is_refused() -> None:
    def vague(city):  # type: ignore[no-untyped-def]
        return city

    with pytest.raises(Fault, match="argument city has no type"):
        describe(vague, Mark())


def test_star_arguments_are_refused() -> None:
    def many(*cities: str) -> None: ...

    with pytest.raises(Fault, match=r"\*cities cannot be described"):
        describe(many, Mark())


def test_a_type_without_a_schema_is_refused() -> None:
    def strange(sock: object, call: Callable[[], int]) -> None: ...

    with pytest.raises(Fault, match="no JSON Schema"):
        describe(strange, Mark())
