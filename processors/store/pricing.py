"""The cost of a step without a stated cost: by the price table, as for spans."""

from __future__ import annotations

from upshot.otel.names import model_of, provider_of
from upshot.otel.prices import Prices, Usage, price_of
from upshot.schemas.steps import Step
from upshot.streams.events.instants import Micros, instant


def cost_of(step: Step, at: Micros, prices: Prices) -> tuple[float | None, str]:
    """By the price table, with the prices at the time of use: the same whenever the step is read."""
    assert step.model is not None
    usage = Usage(
        step.input_tokens,
        step.output_tokens,
        step.cached_input_tokens,
        step.cache_write_input_tokens,
        step.reasoning_output_tokens,
    )
    model, provider_of_model = model_of(step.model)
    provider = (provider_of(step.provider) if step.provider else None) or provider_of_model
    usd = price_of(prices, provider, dict.fromkeys((step.model, model)), usage, instant(at))
    return (None, "") if usd is None else (usd, "table")


__all__ = ["cost_of"]
