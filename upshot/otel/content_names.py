"""Names of content in a span: names for inputs and outputs, and names that are never facts."""

from __future__ import annotations

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
    "gen_ai.request.messages",
    "gen_ai.tool.input",
    "ai.prompt.messages",
    "ai.prompt",
    "ai.toolCall.args",
    "ai.value",
    "gen_ai.task.input",
    "langfuse.observation.input",
    "mlflow.spanInputs",
    "lmnr.span.input",
    "gcp.vertex.agent.llm_request",
    "gcp.vertex.agent.tool_call_args",
    "haystack.component.input",
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
    "gen_ai.response.text",
    "gen_ai.response.tool_calls",
    "gen_ai.tool.output",
    "ai.response.text",
    "ai.response.object",
    "ai.response.toolCalls",
    "ai.toolCall.result",
    "gen_ai.task.output",
    "langfuse.observation.output",
    "mlflow.spanOutputs",
    "lmnr.span.output",
    "gcp.vertex.agent.llm_response",
    "gcp.vertex.agent.tool_response",
    "haystack.component.output",
)

#: Content that has no field of its own: never an attribute. Names that end in a dot are the beginning of
#: many.
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
#: Names with the same beginnings that are no content.
NO_CONTENT = frozenset(
    {"gen_ai.prompt.name", "gen_ai.prompt.version", "reranker.model_name", "reranker.top_k"}
)

__all__ = ["CONTENT", "INPUTS", "NO_CONTENT", "OUTPUTS"]
