"""What the keeper must know to meter every agent's models: names, prices, own budgets."""

from __future__ import annotations

from seawall.models import prices
from seawall.spec.agents import AgentKeys, DeclaredAgent
from seawall.spec.model import Spec
from seawall.spec.profiles import profile
from seawall.wire.profiles import AgentMeter, MeteredModel, ModelProfile, Rate, TaskBudget


def meters(spec: Spec) -> dict[str, AgentMeter]:
    """The meter of every agent that has a model, by the agent's name."""
    found = {}
    for name, agent in sorted(spec.agents.items()):
        model = agent.model or spec.defaults.model
        if model is not None and isinstance(agent, DeclaredAgent):
            first = profile(spec, model)
            models = tuple(_metered(one) for one in (first, *first.fallbacks))
            found[name] = AgentMeter(models=models, budget=task_budget(agent))
    return found


def task_budget(agent: AgentKeys) -> TaskBudget:
    """What one task of the agent may spend itself."""
    return TaskBudget(usd_micros=micros(agent.budget.usd), tokens=agent.budget.tokens)


def micros(usd: float | None) -> int | None:
    """Dollars as micro-dollars; None is no limit."""
    return None if usd is None else round(usd * 1_000_000)


def _metered(model: ModelProfile) -> MeteredModel:
    price = prices.find(model)
    rates: tuple[Rate, ...] = ()
    if price is not None:
        first = Rate(input=price.input, output=price.output)
        rates = (first, *(Rate(start=t.start, input=t.input, output=t.output) for t in price.tiers))
    return MeteredModel(
        provider=model.ref.partition(":")[0],
        name=model.ref.partition(":")[2],
        output_tokens_max=model.output_tokens_max,
        rates=rates,
        allow_missing_usage=model.allow_missing_usage,
    )
