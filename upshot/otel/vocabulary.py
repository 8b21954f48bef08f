"""The names of each dialect. Of several names the first found on a span counts.

Dialects: `gen_ai.*` of OpenTelemetry in its current and its older names, Traceloop (`llm.*`, `traceloop.*`),
OpenInference (`llm.token_count.*`, `openinference.*`), pydantic-ai (`operation.cost`,
`gen_ai.usage.details.*`), the Vercel AI SDK (`ai.*`), Sentry, LangSmith, Langfuse, MLflow, Laminar and
LiteLLM. The schema URL of a span is never looked at: instrumentations set a wrong URL or none. Ours
(`upshot.*`) is set on purpose and outranks all.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

#: Texts of a step by its field.
TEXTS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "operation": ("gen_ai.operation.name", "llm.request.type", "ai.operationId"),
        "request_model": (
            "gen_ai.request.model",
            "llm.request.model_name",
            "llm.request.model",
            "ai.model.id",
            "llm.invocation_parameters.model",
            "llm.invocation_parameters.model_name",
            "llm.invocation_parameters.model_id",
            "llm.invocation_parameters.modelId",
        ),
        "model": (
            "upshot.model",
            "gen_ai.response.model",
            "llm.response.model_name",
            "llm.response.model",
            "ai.response.model",
            "llm.model_name",
            "embedding.model_name",
            "reranker.model_name",
            "gen_ai.request.model",
            "llm.request.model_name",
            "llm.request.model",
            "ai.model.id",
            "langfuse.observation.model.name",
            "mlflow.llm.model",
            "llm.invocation_parameters.model",
            "llm.invocation_parameters.model_name",
            "llm.invocation_parameters.model_id",
            "llm.invocation_parameters.modelId",
            "metadata.ls_model_name",
            "traceloop.association.properties.ls_model_name",
        ),
        "tool_name": ("gen_ai.tool.name", "tool.name", "ai.toolCall.name"),
        "tool_call_id": ("gen_ai.tool.call.id", "tool_call.id", "ai.toolCall.id", "tool.id"),
        "prompt_name": ("gen_ai.prompt.name", "traceloop.prompt.key", "prompt.id"),
        "prompt_version": (
            "gen_ai.prompt.version",
            "traceloop.prompt.version",
            "llm.prompt_template.version",
        ),
        "error_type": ("error.type",),
    }
)

#: Who serves the model.
PROVIDERS = (
    "gen_ai.provider.name",
    "gen_ai.system",
    "llm.provider",
    "llm.system",
    "ai.model.provider",
    "llm.custom_llm_provider",
    "mlflow.llm.provider",
    "metadata.ls_provider",
    "traceloop.association.properties.ls_provider",
)
MODELS = tuple(dict.fromkeys((*TEXTS["model"], *TEXTS["request_model"])))
#: The provider's id of its answer: two spans with the same id report the same call.
RESPONSE_IDS = ("gen_ai.response.id", "llm.response.id", "ai.response.id")
#: All tokens of a call: shows whether cached tokens are counted inside the input or beside the input.
TOTALS = (
    "gen_ai.usage.total_tokens",
    "llm.usage.total_tokens",
    "llm.token_count.total",
    "ai.usage.totalTokens",
    "mlflow.chat.tokenUsage.total_tokens",
    "langfuse.observation.usage_details.total",
)
#: Attributes that hold a JSON object: its members are read as if each were an attribute of its own.
OBJECTS = (
    "llm.invocation_parameters",
    "metadata",
    "mlflow.chat.tokenUsage",
    "langfuse.observation.usage_details",
    "langfuse.observation.cost_details",
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
            "ai.usage.inputTokens",
            "ai.usage.promptTokens",
            "ai.usage.tokens",
            "mlflow.chat.tokenUsage.input_tokens",
            "langfuse.observation.usage_details.input",
        ),
        "output_tokens": (
            "upshot.output_tokens",
            "gen_ai.usage.output_tokens",
            "gen_ai.usage.completion_tokens",
            "llm.usage.completion_tokens",
            "llm.token_count.completion",
            "ai.usage.outputTokens",
            "ai.usage.completionTokens",
            "mlflow.chat.tokenUsage.output_tokens",
            "langfuse.observation.usage_details.output",
        ),
        "cached_input_tokens": (
            "upshot.cached_input_tokens",
            "gen_ai.usage.cache_read.input_tokens",
            "gen_ai.usage.cache_read_input_tokens",
            "gen_ai.usage.details.cache_read_tokens",
            "gen_ai.usage.details.cache_read_input_tokens",
            "gen_ai.usage.details.cached_tokens",
            "gen_ai.usage.details.cached_content_tokens",
            "gen_ai.usage.input_tokens.cached",
            "gen_ai.usage.input_tokens.cache_read",
            "gen_ai.usage.input_token_details.cache_read",
            "gen_ai.usage.cached_input_tokens",
            "gen_ai.usage.cached_tokens",
            "llm.usage.cache_read_input_tokens",
            "llm.token_count.prompt_details.cache_read",
            "ai.usage.cachedInputTokens",
            "ai.usage.inputTokenDetails.cacheReadTokens",
            "mlflow.chat.tokenUsage.cache_read_input_tokens",
            "langfuse.observation.usage_details.input_cached_tokens",
            "langfuse.observation.usage_details.cache_read_input_tokens",
        ),
        "cache_write_input_tokens": (
            "upshot.cache_write_input_tokens",
            "gen_ai.usage.cache_write.input_tokens",
            "gen_ai.usage.cache_creation.input_tokens",
            "gen_ai.usage.cache_creation_input_tokens",
            "gen_ai.usage.details.cache_write_tokens",
            "gen_ai.usage.details.cache_creation_input_tokens",
            "gen_ai.usage.cache_write_input_tokens",
            "gen_ai.usage.input_tokens.cache_write",
            "gen_ai.usage.input_token_details.cache_creation",
            "llm.usage.cache_creation_input_tokens",
            "ai.usage.inputTokenDetails.cacheWriteTokens",
            "mlflow.chat.tokenUsage.cache_creation_input_tokens",
            "langfuse.observation.usage_details.cache_creation_input_tokens",
            "llm.token_count.prompt_details.cache_write",
        ),
        "reasoning_output_tokens": (
            "upshot.reasoning_output_tokens",
            "gen_ai.usage.reasoning.output_tokens",
            "gen_ai.usage.reasoning_tokens",
            "gen_ai.usage.details.reasoning_tokens",
            "gen_ai.usage.details.thoughts_tokens",
            "gen_ai.usage.output_tokens.reasoning",
            "gen_ai.usage.output_token_details.reasoning",
            "gen_ai.usage.experimental.reasoning_tokens",
            "ai.usage.reasoningTokens",
            "ai.usage.outputTokenDetails.reasoningTokens",
            "langfuse.observation.usage_details.output_reasoning_tokens",
            "llm.usage.reasoning_tokens",
            "llm.token_count.completion_details.reasoning",
        ),
    }
)

#: Numbers: the cost in US dollars as stated by the caller, or by the instrumentation; seconds.
AMOUNTS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "given": ("upshot.cost_usd",),
        "span": (
            "operation.cost",
            "gen_ai.usage.cost",
            "gen_ai.usage.total_cost",
            "gen_ai.cost.total_cost",
            "llm.cost.total",
            "langfuse.observation.cost_details.total",
        ),
        "first_chunk_seconds": (
            "gen_ai.response.time_to_first_chunk",
            "gen_ai.response.time_to_first_token",
            "gen_ai.latency.time_to_first_token",
        ),
        "first_chunk_milliseconds": (
            "ai.response.msToFirstChunk",
            "ai.stream.msToFirstChunk",
        ),
    }
)

#: Events at the first piece of a streamed answer.
FIRST_CHUNK_EVENTS = frozenset(
    {
        "First Token Stream Event",
        "llm.content.completion.chunk",
        "gen_ai.content.completion.chunk",
        "ai.stream.firstChunk",
    }
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
            "ai.response.finishReason",
            "ai.finishReason",
            "gen_ai.completion.0.finish_reason",
            "llm.completions.0.finish_reason",
        )
    }
)

#: The attribute with a span's kind, and our word for each of the vocabulary's. An unlisted word stays.
KINDS: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {
        "upshot.kind": {},
        "gen_ai.operation.name": {},
        "openinference.span.kind": {
            "LLM": "model",
            "RETRIEVER": "retrieval",
            "RERANKER": "rerank",
            "UNKNOWN": "",
        },
        "llm.request.type": {"unknown": ""},
        "traceloop.span.kind": {"task": "function", "unknown": ""},
        "ai.operationId": {
            "ai.generateText": "chain",
            "ai.streamText": "chain",
            "ai.generateObject": "chain",
            "ai.streamObject": "chain",
            "ai.generateText.doGenerate": "model",
            "ai.streamText.doStream": "model",
            "ai.generateObject.doGenerate": "model",
            "ai.streamObject.doStream": "model",
            "ai.embed": "embedding",
            "ai.embedMany": "embedding",
            "ai.embed.doEmbed": "embedding",
            "ai.embedMany.doEmbed": "embedding",
            "ai.rerank": "rerank",
            "ai.rerank.doRerank": "rerank",
            "ai.toolCall": "tool",
        },
        "langfuse.observation.type": {
            "generation": "model",
            "retriever": "retrieval",
            "span": "function",
            "event": "function",
        },
        "langsmith.span.kind": {
            "llm": "model",
            "retriever": "retrieval",
            "prompt": "function",
            "parser": "function",
        },
        "lmnr.span.type": {"LLM": "model", "DEFAULT": "", "EXECUTOR": "function"},
        "mlflow.spanType": {
            "LLM": "model",
            "CHAT_MODEL": "model",
            "RETRIEVER": "retrieval",
            "RERANKER": "rerank",
            "PARSER": "function",
            "UNKNOWN": "",
        },
        "sentry.op": {
            "gen_ai.chat": "model",
            "gen_ai.generate_content": "model",
            "gen_ai.text_completion": "model",
            "gen_ai.responses": "model",
            "gen_ai.generate_text": "model",
            "gen_ai.stream_text": "model",
            "gen_ai.embeddings": "embedding",
            "gen_ai.execute_tool": "tool",
            "gen_ai.invoke_agent": "agent",
            "gen_ai.create_agent": "agent",
            "gen_ai.handoff": "handoff",
            "ai.run": "chain",
            "ai.pipeline": "chain",
        },
    }
)
#: Names whose words are OpenTelemetry's operations, spelled in many ways.
OPERATIONS = ("gen_ai.operation.name", "llm.request.type")

#: Kinds of steps around other steps, which repeat the inner steps' usage.
AROUND = frozenset({"agent", "workflow", "chain"})

AGENT = (
    "gen_ai.agent.name",
    "agent.name",
    "agent_name",
    "traceloop.workflow.name",
    "gen_ai.workflow.name",
    "ai.telemetry.functionId",
)
AGENT_VERSION = ("gen_ai.agent.version", "service.version")
SESSION = (
    "gen_ai.conversation.id",
    "session.id",
    "traceloop.association.properties.session_id",
    "langfuse.session.id",
    "gcp.vertex.agent.session_id",
)

__all__ = [
    "AGENT",
    "AGENT_VERSION",
    "AMOUNTS",
    "AROUND",
    "COUNTS",
    "FIRST_CHUNK_EVENTS",
    "KINDS",
    "LISTS",
    "MODELS",
    "OBJECTS",
    "OPERATIONS",
    "PROVIDERS",
    "RESPONSE_IDS",
    "SESSION",
    "TEXTS",
    "TOTALS",
]
