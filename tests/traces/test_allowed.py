"""Nothing that people or models wrote is kept while content is off, whatever an instrumentation calls it."""

from __future__ import annotations

from typing import Any

import pytest

from tests.traces.test_dialects import START, span
from upshot.otel import SpanEvent, asked_for, run_of, step_of

SECRET = "SECRET"
DIALECTS: dict[str, tuple[str, ...]] = {
    "gen_ai": (
        "gen_ai.input.messages",
        "gen_ai.output.messages",
        "gen_ai.system_instructions",
        "gen_ai.tool.call.arguments",
        "gen_ai.tool.call.result",
        "gen_ai.tool.definitions",
        "gen_ai.tool.description",
        "gen_ai.retrieval.query.text",
        "gen_ai.retrieval.documents",
        "gen_ai.agent.description",
        "gen_ai.evaluation.explanation",
        "gen_ai.prompt",
        "gen_ai.completion",
        "gen_ai.request.stop_sequences",
        "gen_ai.prompt.variable.name",
        "gen_ai.embeddings.input",
    ),
    "Traceloop": (
        "gen_ai.prompt.0.content",
        "gen_ai.completion.0.content",
        "gen_ai.completion.0.tool_calls.0.arguments",
        "gen_ai.task.input",
        "gen_ai.task.output",
        "traceloop.entity.input",
        "traceloop.entity.output",
        "traceloop.prompt.template",
        "traceloop.prompt.template_variables",
        "traceloop.association.properties.note",
        "llm.request.functions.0.description",
        "llm.prompts.0.user",
        "db.chroma.query.embeddings_count",
        "pinecone.query.filter",
    ),
    "OpenInference": (
        "input.value",
        "output.value",
        "llm.input_messages.0.message.content",
        "llm.output_messages.0.message.tool_calls.0.tool_call.function.arguments",
        "llm.invocation_parameters",
        "llm.prompt_template.template",
        "llm.prompt_template.variables",
        "llm.tools.0.tool.json_schema",
        "retrieval.documents.0.document.content",
        "embedding.embeddings.0.embedding.text",
        "reranker.query",
        "reranker.output_documents.0.document.content",
        "tool.parameters",
        "tool.description",
        "metadata",
        "tag.tags",
        "exception.message",
    ),
    "CrewAI": (
        "crew_tasks",
        "crew_agents",
        "crew_inputs",
        "task_output",
        "formatted_description",
        "agent_goal",
    ),
    "pydantic-ai": (
        "pydantic_ai.all_messages",
        "all_messages_events",
        "final_result",
        "tool_arguments",
        "tool_response",
        "model_request_parameters",
        "events",
    ),
    "Logfire": ("request_data", "response_data", "logfire.msg", "logfire.json_schema", "fn.argument"),
    "Vercel AI SDK": (
        "ai.prompt",
        "ai.prompt.messages",
        "ai.prompt.tools",
        "ai.prompt.toolChoice",
        "ai.response.text",
        "ai.response.object",
        "ai.response.toolCalls",
        "ai.response.reasoning",
        "ai.result.text",
        "ai.toolCall.args",
        "ai.toolCall.result",
        "ai.value",
        "ai.values",
        "ai.embeddings",
        "ai.schema",
        "ai.schema.description",
        "ai.request.headers.user-agent",
        "ai.telemetry.metadata.note",
    ),
    "LiteLLM": (
        "llm.openai.messages",
        "llm.openai.choices",
        "llm.anthropic.content",
        "llm.None.input",
        "llm.bedrock.additional_args",
        "metadata.user_api_key",
        "hidden_params",
        "gen_ai.request.metadata",
    ),
    "Sentry": (
        "gen_ai.request.messages",
        "gen_ai.response.text",
        "gen_ai.response.tool_calls",
        "gen_ai.tool.input",
        "gen_ai.tool.output",
        "gen_ai.request.available_tools",
        "ai.input_messages",
        "ai.responses",
    ),
    "Langfuse": (
        "langfuse.observation.input",
        "langfuse.observation.output",
        "langfuse.trace.input",
        "langfuse.observation.metadata.note",
        "langfuse.observation.status_message",
        "langfuse.observation.model.parameters",
    ),
    "LangSmith": (
        "inputs",
        "outputs",
        "langsmith.metadata.note",
        "langsmith.span.tags",
        "gen_ai.prompt.messages",
    ),
    "MLflow": ("mlflow.spanInputs", "mlflow.spanOutputs", "mlflow.chat.tools", "mlflow.spanLogs"),
    "Laminar": (
        "lmnr.span.input",
        "lmnr.span.output",
        "lmnr.span.prompt",
        "lmnr.association.properties.metadata.x",
    ),
    "Google ADK": (
        "gcp.vertex.agent.llm_request",
        "gcp.vertex.agent.llm_response",
        "gcp.vertex.agent.tool_call_args",
        "gcp.vertex.agent.tool_response",
        "gcp.vertex.agent.data",
    ),
    "Haystack": ("haystack.component.input", "haystack.component.output", "haystack.pipeline.input_data"),
    "AutoGen, Semantic Kernel": (
        "message",
        "body",
        "gen_ai.event.content",
        "semantic_kernel.function.arguments",
    ),
    "agno, smolagents, DSPy, LlamaIndex": (
        "agno.run.input",
        "smolagents.task",
        "instructions",
        "query_str",
        "task",
    ),
    "coding agents": ("user_prompt", "prompt", "tool_input", "command", "diff", "file_text"),
    "MCP": ("mcp.request.argument.query", "mcp.response.value", "mcp.tool.arguments"),
    "everything else": (
        "db.statement",
        "db.query.text",
        "db.query.parameter.name",
        "http.url",
        "http.target",
        "url.full",
        "url.query",
        "http.request.header.authorization",
        "http.request.body",
        "process.command_line",
        "process.command_args",
        "messaging.message.body",
        "rpc.request.body",
        "exception.stacktrace",
        "code.stacktrace",
        "user.email",
        "user.full_name",
        "graphql.document",
        "faas.document.name",
        "aws.lambda.event",
        "whatever.comes.next",
        "x",
    ),
}
WAYS: dict[str, Any] = {
    "a text": SECRET,
    "a list": [SECRET],
    "a tuple": (SECRET, SECRET),
    "an object": {"content": SECRET},
    "a long text": SECRET * 100,
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("dialect", DIALECTS)
def test_content_of_every_dialect_is_left_out(dialect: str, way: str) -> None:
    said = {name: WAYS[way] for name in DIALECTS[dialect]}
    told = span(
        said | {"gen_ai.agent.name": "support"},
        resource=dict(said),
        events=(SpanEvent("gen_ai.content", START, said),),
    )
    assert SECRET not in step_of(told, "r1").model_dump_json()
    assert SECRET not in run_of(told).model_dump_json()


@pytest.mark.parametrize("dialect", DIALECTS)
def test_numbers_of_people_are_left_out_below_names_of_content(dialect: str) -> None:
    under = [
        f"{name}.4.card"
        for name in DIALECTS[dialect]
        if name.rpartition(".")[2] in ("input", "args", "messages")
    ]
    assert step_of(span(dict.fromkeys(under, 4111)), "r1").attributes == {}


FACTS: dict[str, Any] = {
    "server.address": "api.example",
    "server.port": 443,
    "http.response.status_code": 429,
    "gen_ai.request.temperature": 0.2,
    "gen_ai.request.max_tokens": 500,
    "gen_ai.output.type": "json",
    "traceloop.entity.name": "answer",
    "langfuse.trace.name": "chat",
    "haystack.component.name": "retriever",
    "ai.telemetry.functionId": "answer",
    "llm.is_streaming": True,
    "own.retries": 3,
    "http.response.body.size": 5120,
    "code.function.name": "answer",
    "gcp.vertex.agent.invocation_id": "i-1",
}


def test_facts_stay() -> None:
    assert step_of(span(FACTS), "r1").attributes == FACTS


def test_a_fact_is_short_and_finite() -> None:
    said = {"server.address": "s" * 257, "own.rate": float("nan"), "own.vector": [0.1, 0.2]}
    assert step_of(span(said), "r1").attributes == {}


def test_more_is_kept_where_somebody_asks_for_it() -> None:
    said = {"tenant": "acme", "acme.tier": "gold", "acme.long": "s" * 1001, "other": "x", "acme.tags": ["a"]}
    asked = asked_for(["tenant", " acme.* ", ""])
    told = span(said)
    kept = {"tenant": "acme", "acme.tier": "gold", "acme.tags": ["a"]}
    assert step_of(told, "r1", asked=asked).attributes == kept
    assert run_of(told, asked=asked).attributes == kept
    assert step_of(told, "r1").attributes == {}


def test_with_content_all_is_kept_as_before() -> None:
    step = step_of(
        span({"tenant": "acme", "input.value": "hi", "own.text": "t" * 1000}), "r1", with_content=True
    )
    assert (step.input, step.attributes) == ("hi", {"tenant": "acme", "own.text": "t" * 1000})


def test_an_error_is_told_in_short() -> None:
    failed = span({}, status="error", status_message="e" * 5000)
    assert step_of(failed, "r1").error == "e" * 1000
    assert step_of(failed, "r1", with_content=True).error == "e" * 5000
    assert run_of(failed).error == "e" * 1000
