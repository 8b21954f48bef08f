"""What each dialect calls a thing. Of several names the first that a span has counts.

Dialects: `gen_ai.*` of OpenTelemetry in its current and its older names, Traceloop (`llm.*`, `traceloop.*`),
OpenInference (`llm.token_count.*`, `openinference.*`) and pydantic-ai (`operation.cost`, `gen_ai.usage.details.*`).
The schema URL of a span is never looked at: instrumentations set it wrong or not at all. Ours (`upshot.*`)
is said on purpose and outranks all.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

#: Texts of a step by its field.
TEXTS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "operation": ("gen_ai.operation.name", "llm.request.type"),
        "provider": ("gen_ai.provider.name", "gen_ai.system", "llm.provider", "llm.system"),
        "request_model": ("gen_ai.request.model", "llm.request.model_name", "llm.request.model"),
        "model": (
            "upshot.model",
            "gen_ai.response.model",
            "llm.response.model_name",
            "llm.response.model",
            "llm.model_name",
            "embedding.model_name",
            "reranker.model_name",
            "gen_ai.request.model",
            "llm.request.model_name",
            "llm.request.model",
        ),
        "tool_name": ("gen_ai.tool.name", "tool.name"),
        "tool_call_id": ("gen_ai.tool.call.id", "tool_call.id", "tool.id"),
        "prompt_name": ("gen_ai.prompt.name", "traceloop.prompt.key", "prompt.id"),
        "prompt_version": (
            "gen_ai.prompt.version",
            "traceloop.prompt.version",
            "llm.prompt_template.version",
        ),
        "error_type": ("error.type",),
    }
)

#: Whole numbers of a step by its field.
COUNTS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "input_tokens": (
            "upshot.input_tokens",
            "gen_ai.usage.input_tokens",
            "gen_ai.usage.prompt_tokens",
            "llm.usage.prompt_tokens",
            "llm.token_count.prompt",
        ),
        "output_tokens": (
            "upshot.output_tokens",
            "gen_ai.usage.output_tokens",
            "gen_ai.usage.completion_tokens",
            "llm.usage.completion_tokens",
            "llm.token_count.completion",
        ),
        "cached_input_tokens": (
            "upshot.cached_input_tokens",
            "gen_ai.usage.cache_read.input_tokens",
            "gen_ai.usage.cache_read_input_tokens",
            "gen_ai.usage.details.cache_read_tokens",
            "gen_ai.usage.details.cache_read_input_tokens",
            "llm.token_count.prompt_details.cache_read",
        ),
        "cache_write_input_tokens": (
            "upshot.cache_write_input_tokens",
            "gen_ai.usage.cache_write.input_tokens",
            "gen_ai.usage.cache_creation.input_tokens",
            "gen_ai.usage.cache_creation_input_tokens",
            "gen_ai.usage.details.cache_write_tokens",
            "gen_ai.usage.details.cache_creation_input_tokens",
            "llm.token_count.prompt_details.cache_write",
        ),
        "reasoning_output_tokens": (
            "upshot.reasoning_output_tokens",
            "gen_ai.usage.reasoning.output_tokens",
            "gen_ai.usage.reasoning_tokens",
            "gen_ai.usage.details.reasoning_tokens",
            "llm.usage.reasoning_tokens",
            "llm.token_count.completion_details.reasoning",
        ),
    }
)

#: Numbers: what the caller says that it cost, in US dollars; what the instrumentation says; seconds.
AMOUNTS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "given": ("upshot.cost_usd",),
        "span": ("operation.cost", "gen_ai.usage.cost", "llm.cost.total"),
        "first_chunk_seconds": ("gen_ai.response.time_to_first_chunk",),
    }
)

#: Events at the first piece of a streamed answer.
FIRST_CHUNK_EVENTS = frozenset(
    {"First Token Stream Event", "llm.content.completion.chunk", "gen_ai.content.completion.chunk"}
)
LISTS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "finish_reasons": (
            "gen_ai.response.finish_reasons",
            "gen_ai.response.finish_reason",
            "gen_ai.response.stop_reason",
            "llm.response.finish_reason",
            "llm.response.stop_reason",
            "llm.finish_reason",
        )
    }
)

#: Where a span says what it is, and which of our words each of theirs is. A word that isn't listed stays.
KINDS: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {
        "upshot.kind": {},
        "gen_ai.operation.name": {
            "chat": "model",
            "generate_content": "model",
            "text_completion": "model",
            "embeddings": "embedding",
            "execute_tool": "tool",
            "invoke_agent": "agent",
            "create_agent": "agent",
            "invoke_workflow": "workflow",
        },
        "openinference.span.kind": {
            "LLM": "model",
            "RETRIEVER": "retrieval",
            "RERANKER": "rerank",
            "UNKNOWN": "",
        },
        "llm.request.type": {"chat": "model", "completion": "model", "unknown": ""},
        "traceloop.span.kind": {"task": "function", "unknown": ""},
    }
)

#: Kinds of steps around other steps, which repeat the usage of those.
AROUND = frozenset({"agent", "workflow", "chain"})

AGENT = ("gen_ai.agent.name", "agent.name", "agent_name", "traceloop.workflow.name", "gen_ai.workflow.name")
AGENT_VERSION = ("gen_ai.agent.version", "service.version")
SESSION = ("gen_ai.conversation.id", "session.id", "traceloop.association.properties.session_id")

#: Where content stands, in the order of preference; a name that ends in a dot is the beginning of many.
INPUTS = (
    "upshot.input",
    "gen_ai.input.messages",
    "gen_ai.tool.call.arguments",
    "gen_ai.retrieval.query.text",
    "llm.input_messages.",
    "gen_ai.prompt.",
    "gen_ai.prompt",
    "traceloop.entity.input",
    "input.value",
    "tool_arguments",
    "llm.prompts",
)
OUTPUTS = (
    "upshot.output",
    "gen_ai.output.messages",
    "gen_ai.tool.call.result",
    "gen_ai.retrieval.documents",
    "llm.output_messages.",
    "gen_ai.completion.",
    "gen_ai.completion",
    "traceloop.entity.output",
    "output.value",
    "tool_response",
    "final_result",
    "pydantic_ai.all_messages",
)

#: Content that has no field of its own: never an attribute. Names that end in a dot are the beginning of many.
CONTENT = (
    *INPUTS,
    *OUTPUTS,
    "gen_ai.system_instructions",
    "gen_ai.tool.definitions",
    "gen_ai.tool.description",
    "gen_ai.evaluation.explanation",
    "all_messages_events",
    "events",
    "request_data",
    "response_data",
    "model_request_parameters",
    "input.mime_type",
    "output.mime_type",
    "input.images.",
    "output.images.",
    "input.documents.",
    "output.documents.",
    "llm.tools.",
    "llm.request.functions.",
    "llm.function_call",
    "llm.choices.",
    "llm.prompts.",
    "llm.prompt_template.template",
    "llm.prompt_template.variables",
    "traceloop.prompt.template",
    "traceloop.prompt.template_variables",
    "embedding.embeddings.",
    "retrieval.documents.",
    "reranker.",
    "tool.parameters",
    "tool.json_schema",
    "tool.description",
)
#: Of those the ones that are none, although they begin alike.
NO_CONTENT = frozenset(
    {"gen_ai.prompt.name", "gen_ai.prompt.version", "reranker.model_name", "reranker.top_k"}
)

__all__ = [
    "AGENT",
    "AGENT_VERSION",
    "AMOUNTS",
    "AROUND",
    "CONTENT",
    "COUNTS",
    "FIRST_CHUNK_EVENTS",
    "INPUTS",
    "KINDS",
    "LISTS",
    "NO_CONTENT",
    "OUTPUTS",
    "SESSION",
    "TEXTS",
]
