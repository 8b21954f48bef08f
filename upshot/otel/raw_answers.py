"""Facts of a call from the provider's raw answer, as LiteLLM's callback keeps the answer on a span.

LiteLLM names the answer's members `llm.<provider>.<member>` and writes objects as Python's or JSON's text.
"""

from __future__ import annotations

import ast
import json
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from upshot.otel.reading import Attributes, as_count

_BEGINNING = "llm."
#: The members with the usage, and the members naming the model and the answer.
_USAGE = (".usage", ".usageMetadata")
_FACTS: Mapping[str, str] = MappingProxyType(
    {
        "model": "gen_ai.response.model",
        "modelVersion": "gen_ai.response.model",
        "id": "gen_ai.response.id",
        "responseId": "gen_ai.response.id",
    }
)
#: Members of a usage, `.`-separated, and the attribute of each.
_COUNTS: Mapping[str, str] = MappingProxyType(
    {
        "prompt_tokens": "gen_ai.usage.input_tokens",
        "input_tokens": "gen_ai.usage.input_tokens",
        "inputTokens": "gen_ai.usage.input_tokens",
        "promptTokenCount": "gen_ai.usage.input_tokens",
        "completion_tokens": "gen_ai.usage.output_tokens",
        "output_tokens": "gen_ai.usage.output_tokens",
        "outputTokens": "gen_ai.usage.output_tokens",
        "candidatesTokenCount": "gen_ai.usage.output_tokens",
        "prompt_tokens_details.cached_tokens": "gen_ai.usage.cached_tokens",
        "input_tokens_details.cached_tokens": "gen_ai.usage.cached_tokens",
        "cache_read_input_tokens": "gen_ai.usage.cached_tokens",
        "cacheReadInputTokens": "gen_ai.usage.cached_tokens",
        "cachedContentTokenCount": "gen_ai.usage.cached_tokens",
        "cache_creation_input_tokens": "gen_ai.usage.cache_write.input_tokens",
        "cacheWriteInputTokens": "gen_ai.usage.cache_write.input_tokens",
        "completion_tokens_details.reasoning_tokens": "gen_ai.usage.reasoning_tokens",
        "output_tokens_details.reasoning_tokens": "gen_ai.usage.reasoning_tokens",
        "thoughtsTokenCount": "gen_ai.usage.reasoning_tokens",
        "total_tokens": "gen_ai.usage.total_tokens",
        "totalTokens": "gen_ai.usage.total_tokens",
        "totalTokenCount": "gen_ai.usage.total_tokens",
    }
)
#: Anthropic's API counts these beside the input, and states no total.
_BESIDE = ("cache_read_input_tokens", "cache_creation_input_tokens")
_LONGEST = 20_000


def raw_answer(attributes: Attributes) -> dict[str, Any] | None:
    """The facts of a raw answer in OpenTelemetry's words; None where a span has no raw answer."""
    for name, value in attributes.items():
        if name.startswith(_BEGINNING) and name.endswith(_USAGE):
            provider, _, _ = name[len(_BEGINNING) :].rpartition(".")
            usage = parsed(value)
            if provider and "." not in provider and isinstance(usage, Mapping):
                return _facts(attributes, f"{_BEGINNING}{provider}.", provider) | _counts(usage)
    return None


def parsed(value: Any) -> Any:
    """The object in a text of JSON or of Python's; other values as they are, None for other texts."""
    if not isinstance(value, str):
        return value
    if not value.startswith("{") or len(value) > _LONGEST:
        return None
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        pass
    try:
        return ast.literal_eval(value)
    except (ValueError, SyntaxError, RecursionError, MemoryError, TypeError):
        return None


def _facts(attributes: Attributes, beginning: str, provider: str) -> dict[str, Any]:
    found = {
        word: attributes[beginning + name] for name, word in _FACTS.items() if beginning + name in attributes
    }
    return found | {"gen_ai.operation.name": "chat", "gen_ai.provider.name": provider}


def _counts(usage: Mapping[str, Any]) -> dict[str, int]:
    found: dict[str, int] = {}
    for path, word in _COUNTS.items():
        outer, _, inner = path.partition(".")
        value = usage.get(outer)
        if inner:
            value = value.get(inner) if isinstance(value, Mapping) else None
        count = as_count(value)
        if count is not None:
            found.setdefault(word, count)
    if "input_tokens" in usage and "total_tokens" not in usage and "gen_ai.usage.input_tokens" in found:
        found["gen_ai.usage.input_tokens"] += sum(as_count(usage.get(name)) or 0 for name in _BESIDE)
    return found


__all__ = ["parsed", "raw_answer"]
