"""What a model costs: the spec's price, the library's, or none."""

from seawall.models import prices
from seawall.models.prices import Price
from seawall.wire.profiles import ModelProfile


def test_the_specs_price_wins_over_the_librarys() -> None:
    profile = ModelProfile(ref="openai:gpt-4o-mini", usd_micros_per_mtok_input=7)
    assert prices.find(profile) == Price(7, 0)


def test_a_known_model_has_the_librarys_price() -> None:
    assert prices.find(ModelProfile(ref="openai:gpt-4o-mini")) == Price(150_000, 600_000)


def test_an_unknown_model_has_no_price_rather_than_a_guess() -> None:
    assert prices.find(ModelProfile(ref="openai:my-own-llama")) is None
    assert prices.find(ModelProfile(ref="nowhere:gpt-4o-mini")) is None


def test_a_scripted_model_is_free() -> None:
    assert prices.find(ModelProfile(ref="scripted:researcher")) == Price(0, 0)


def test_cost_is_rounded_up_to_a_micro_dollar() -> None:
    assert prices.cost(Price(1, 0), 1, 0) == 1
    assert prices.cost(Price(3_000_000, 15_000_000), 1000, 100) == 4500
    assert prices.cost(Price(3_000_000, 15_000_000), 0, 0) == 0


def test_a_long_input_costs_the_dearer_tier_for_all_its_tokens() -> None:
    price = prices.find(ModelProfile(ref="anthropic:claude-sonnet-4-5"))
    assert price is not None
    assert prices.cost(price, 100_000, 0) == 300_000
    assert prices.cost(price, 300_000, 0) == 1_800_000
