"""The cost of a model call: a price table, by the optional package genai-prices."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from types import MappingProxyType
from typing import NamedTuple


class Usage(NamedTuple):
    """Tokens of one call. `input_tokens` counts the cached ones, too; None is unknown."""

    input_tokens: int | None = None
    output_tokens: int | None = None
    cached_input_tokens: int | None = None
    cache_write_input_tokens: int | None = None
    reasoning_output_tokens: int | None = None

    @property
    def uncached(self) -> int | None:
        """Input tokens without any cache. Negative: the producer doesn't count cached tokens as input."""
        if self.input_tokens is None:
            return None
        return self.input_tokens - (self.cached_input_tokens or 0) - (self.cache_write_input_tokens or 0)


#: US dollars for the usage of a model (provider, model, usage, time of the request); None where it isn't
#: known.
Prices = Callable[[str | None, str, Usage, datetime], float | None]


_MOST_UNKNOWN = 10_000


def unpriced(provider: str | None, model: str, usage: Usage, at: datetime) -> float | None:
    """No price table: every cost without a statement is unknown."""
    return None


#: OpenTelemetry's words for providers that the table spells otherwise.
_SPELLED: Mapping[str, str] = MappingProxyType({"x_ai": "x-ai", "gcp.gen_ai": "google"})


def _in_table(provider: str | None, model: str) -> str | None:
    """The table recognises the provider of most models by name, but not of embeddings."""
    if provider is None:
        return "openai" if model.startswith("text-embedding-") else None
    return _SPELLED.get(provider, provider)


def price_of(
    prices: Prices, provider: str | None, models: Iterable[str], usage: Usage, at: datetime
) -> float | None:
    """The price of a plausible usage, by the first spelling of the model in the table."""
    if usage.uncached is None or usage.uncached < 0:
        return None
    found = (prices(provider, model, usage, at) for model in models)
    return next((usd for usd in found if usd is not None), None)


def price_table() -> Prices:
    """The table of genai-prices where installed (`upshot[prices]`), else `unpriced`.

    A model absent from the table has no price, never the price zero. Nothing is fetched.
    """
    try:
        import genai_prices
    except ModuleNotFoundError:
        return unpriced

    unknown: set[tuple[str | None, str]] = set()

    def price(provider: str | None, model: str, usage: Usage, at: datetime) -> float | None:
        if (provider, model) in unknown:
            return None
        counted = genai_prices.Usage(
            input_tokens=usage.input_tokens,
            output_tokens=usage.output_tokens,
            cache_read_tokens=usage.cached_input_tokens,
            cache_write_tokens=usage.cache_write_input_tokens,
        )
        try:
            found = genai_prices.calc_price(
                counted, model, provider_id=_in_table(provider, model), genai_request_timestamp=at
            )
        except LookupError:
            if len(unknown) < _MOST_UNKNOWN:  # to look for a model in vain takes longest
                unknown.add((provider, model))
            return None
        except ValueError:
            return None
        return float(found.total_price)

    return price


__all__ = ["Prices", "Usage", "price_of", "price_table", "unpriced"]
