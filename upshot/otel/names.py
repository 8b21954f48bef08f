"""Unifies kinds, providers, models and stop reasons, which instrumentations spell in many ways."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from types import MappingProxyType

#: What providers are called, folded, and OpenTelemetry's word for each.
PROVIDERS: Mapping[str, str] = MappingProxyType(
    {
        alias: name
        for name, aliases in {
            "openai": "openai openai_chat openai_responses text_completion_openai open_ai",
            "anthropic": "anthropic anthropic_messages claude",
            "aws.bedrock": (
                "aws.bedrock bedrock aws aws_bedrock amazon_bedrock bedrock_converse amazon bedrock_runtime"
            ),
            "azure.ai.openai": (
                "azure.ai.openai az.ai.openai azure azure_openai openai_azure azureopenai azure_text"
            ),
            "azure.ai.inference": "azure.ai.inference az.ai.inference azure_ai azure_ai_inference",
            "gcp.gemini": (
                "gcp.gemini gemini google_gla google_generative_ai google.generative_ai googleai "
                "google_ai_studio"
            ),
            "gcp.vertex_ai": (
                "gcp.vertex_ai vertex_ai vertexai google_vertex google.vertex google_vertexai vertex_ai_beta"
            ),
            "gcp.gen_ai": "gcp.gen_ai google_genai google_gen_ai",
            "google": "google",
            "cohere": "cohere cohere_chat",
            "deepseek": "deepseek",
            "groq": "groq",
            "ibm.watsonx.ai": "ibm.watsonx.ai watsonx ibm_watsonx watsonx_text ibm",
            "mistral_ai": "mistral_ai mistral mistralai",
            "moonshot_ai": "moonshot_ai moonshotai moonshot",
            "perplexity": "perplexity",
            "x_ai": "x_ai xai grok",
            "openrouter": "openrouter",
            "together": "together together_ai togetherai",
            "fireworks": "fireworks fireworks_ai fireworksai",
            "cerebras": "cerebras",
            "ollama": "ollama ollama_chat",
            "huggingface": "huggingface hugging_face",
            "replicate": "replicate",
        }.items()
        for alias in aliases.split()
    }
)
#: Who carries a call, and serves no model.
_FRAMEWORKS = frozenset(
    [
        "agno",
        "autogen",
        "crewai",
        "custom",
        "custom_openai",
        "dspy",
        "haystack",
        "hosted_vllm",
        "langchain",
        "langgraph",
        "litellm",
        "litellm_proxy",
        "llama_index",
        "llamaindex",
        "none",
        "openai_agents",
        "pydantic_ai",
        "semantic_kernel",
        "smolagents",
        "strands",
        "strands_agents",
        "traceloop",
        "unknown",
        "vercel",
    ]
)
#: What an adapter says after the provider's name: `openai.responses`, `anthropic.messages`,
#: `google.vertex.chat`.
_SERVICES = re.compile(
    r"\.(chat|responses|messages|completion|completions|embedding|embeddings|image|speech)$"
)
_SPELLED = re.compile(r"[\s-]+")

_OPERATIONS: Mapping[str, str] = MappingProxyType(
    {
        word: kind
        for kind, words in {
            "model": "chat completion completions chat_completion chat_completions text_completion "
            "generate_content generate_content_stream response responses message messages anthropic_messages "
            "generate stream llm",
            "embedding": "embedding embeddings embed",
            "rerank": "rerank reranker",
            "image": "image_generation image_edit",
            "speech": "speech transcription",
            "moderation": "moderation",
            "tool": "execute_tool tool_call call_tool tool",
            "agent": "invoke_agent create_agent agent",
            "workflow": "invoke_workflow workflow",
            "retrieval": "retrieval retriever retrieve",
        }.items()
        for word in words.split()
    }
)

_STOPS: Mapping[str, str] = MappingProxyType(
    {
        word: reason
        for reason, words in {
            "stop": "stop end_turn stop_sequence eos eos_token complete completed end stop_sequence_reached",
            "length": (
                "length max_tokens max_output_tokens model_length model_context_window_exceeded token_limit"
            ),
            "tool_calls": "tool_calls tool_call tool_use function_call function_calls",
            "content_filter": "content_filter content_filtered safety recitation blocklist "
            "prohibited_content spii guardrail_intervened image_safety refusal",
            "error": "error malformed_function_call error_toxic",
        }.items()
        for word in words.split()
    }
)
_STOP_PREFIXES = tuple(
    f"{word}{end}" for word in ("finish_reason", "finishreason", "stop_reason", "stopreason") for end in "._"
)
#: A model's id as Bedrock has it: `us.anthropic.claude-sonnet-4-5-20250929-v1:0`, `amazon.nova-pro-v1:0`.
_OF_BEDROCK = re.compile(
    r"(?:[a-z]{2,6}\.)?(?:ai21|amazon|anthropic|cohere|deepseek|meta|mistral|openai|qwen|writer)\.[a-z]"
)
#: What routers put before a name.
_WORD = re.compile(r"[A-Za-z][\w.-]*+")
#: What follows a model's name and tells one release of it from another.
_RELEASE = re.compile(
    r"[-@:](?:\d{8}|\d{4}-\d{2}-\d{2}|\d{2}-\d{4}|latest|preview|exp|\d{3}|v\d{1,4}:\d{1,4})"
)
#: Characters of the longest of these.
_LONGEST_RELEASE = 11


def kind_of_operation(word: str) -> str | None:
    """Our kind for the word of an operation, in sync and async spelling; None for an unknown word."""
    folded = _SPELLED.sub("_", word.strip().lower())
    return _OPERATIONS.get(folded) or (_OPERATIONS.get(folded[1:]) if folded.startswith("a") else None)


def provider_of(word: str) -> str | None:
    """OpenTelemetry's word for a provider; an unknown one in lower case; None for carriers without models."""
    folded = _SPELLED.sub("_", word.strip().lower())
    while (shorter := _SERVICES.sub("", folded)) != folded:
        folded = shorter
    if folded in _FRAMEWORKS or not folded:
        return None
    known = PROVIDERS.get(folded)
    return known or _SPELLED.sub("-", word.strip().lower())


def model_of(name: str) -> tuple[str, str | None]:
    """A model's name without a router's prefix, and the provider named by the prefix.

    A beginning that is no provider's name stays: `meta-llama/Llama-3.3-70B`, `house/llama`.
    """
    provider: str | None = None
    for marker in ("/models/", "models/"):
        if name.startswith(("models/", "publishers/", "projects/")) and marker in name:
            name = name.rpartition(marker)[2] or name
    while (cut := _router_in(name)) is not None:
        known = PROVIDERS.get(_SPELLED.sub("_", cut.lower()))
        if known is None and cut.lower() not in ("litellm", "litellm_proxy"):
            break
        provider, name = provider or known, name[len(cut) + 1 :]
    return name, provider or ("aws.bedrock" if _OF_BEDROCK.match(name) else None)


def _router_in(name: str) -> str | None:
    """A word before the first `/` or `:` of a name that goes on after it."""
    word = _WORD.match(name)
    if word is None or name[word.end() : word.end() + 1] not in ("/", ":") or len(name) == word.end() + 1:
        return None
    return word[0]


def family_of(model: str) -> str:
    """What spellings of one model share: no provider before it, no date or `latest` after it."""
    name = model_of(model)[0].lower()
    while (cut := _release_at(name)) is not None:
        name = name[:cut]
    return name


def _release_at(name: str) -> int | None:
    """Where the last release in a model's name begins; None where the name ends otherwise."""
    for start in range(max(0, len(name) - _LONGEST_RELEASE), len(name)):
        if _RELEASE.fullmatch(name, start):
            return start
    return None


def stop_of(word: str) -> str:
    """Why a model stopped, in one spelling: `stop`, `length`, `tool_calls`, `content_filter`, `error`.

    Else as it is.
    """
    stripped = word.strip().lower()
    for prefix in _STOP_PREFIXES:
        before, found, reason = stripped.partition(prefix)
        if found and (not before or before.replace("_", "a").isalnum()):
            stripped = reason
    return _STOPS.get(_SPELLED.sub("_", stripped), word)


def listed(value: str) -> list[str] | None:
    """The texts of a list written as JSON; None for any other text."""
    if not value.startswith("[") or len(value) > 1000:
        return None
    try:
        items = json.loads(value)
    except ValueError:
        return None
    return [item for item in items if isinstance(item, str)]


__all__ = ["PROVIDERS", "family_of", "kind_of_operation", "listed", "model_of", "provider_of", "stop_of"]
