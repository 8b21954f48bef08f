"""Chooses the attributes of foreign spans kept while content is off: facts by meaning and size.

A list of forbidden names is always one release of some instrumentation behind. So a text is kept if its name
is known for facts (an id, a name, a kind, an address) and the text is short. Numbers and booleans are kept
under any name not suggesting content.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import isfinite
from typing import Any

from upshot.otel import vocabulary
from upshot.otel.reading import Attributes, is_content, length_of, tidy

#: Characters of a text, or of a list of texts together, that may be a fact.
LONGEST_FACT = 256
#: Characters of an attribute asked for by its name.
LONGEST_ASKED = 1000

#: Parts of names (between dots) below which even a number may be somebody's data.
_CONTENT_WORDS = frozenset(
    [
        "args",
        "arguments",
        "body",
        "completion",
        "completions",
        "content",
        "contents",
        "data",
        "documents",
        "embedding",
        "embeddings",
        "header",
        "headers",
        "input",
        "inputs",
        "kwargs",
        "message",
        "messages",
        "output",
        "outputs",
        "parameters",
        "params",
        "payload",
        "prompt",
        "prompts",
        "query",
        "result",
        "results",
        "text",
        "value",
        "values",
        "vector",
        "vectors",
    ]
)

#: Names of texts that are facts, by the vocabulary's owner.
_FACTS: Mapping[str, str] = {
    "OpenTelemetry, resources": "service.name service.namespace service.version service.instance.id "
    "telemetry.sdk.name telemetry.sdk.language telemetry.sdk.version telemetry.distro.name "
    "telemetry.distro.version telemetry.auto.version deployment.environment deployment.environment.name "
    "deployment.id deployment.name host.name host.id host.arch host.type os.type os.name os.version "
    "process.runtime.name process.runtime.version process.executable.name container.id container.name "
    "container.image.name cloud.provider cloud.region cloud.account.id cloud.availability_zone "
    "cloud.platform cloud.resource_id faas.name faas.version faas.trigger faas.invocation_id "
    "k8s.cluster.name k8s.namespace.name k8s.node.name k8s.pod.name k8s.pod.uid k8s.container.name "
    "k8s.deployment.name k8s.job.name k8s.cronjob.name k8s.statefulset.name",
    "OpenTelemetry, spans": "otel.scope.name otel.scope.version otel.library.name otel.library.version "
    "otel.status_code error.type exception.type code.function code.function.name code.namespace "
    "code.filepath code.file.path thread.name server.address client.address network.protocol.name "
    "network.protocol.version network.transport network.type network.peer.address net.peer.name "
    "net.host.name net.transport http.method http.request.method http.scheme http.flavor http.route "
    "http.host url.scheme url.domain rpc.system rpc.system.name rpc.service rpc.method db.system "
    "db.system.name db.name db.namespace db.operation db.operation.name db.sql.table db.collection.name "
    "messaging.system messaging.operation messaging.operation.name messaging.operation.type "
    "messaging.destination.name messaging.message.id messaging.consumer.group.name graphql.operation.type "
    "graphql.operation.name jsonrpc.protocol.version session.id user.id enduser.id feature_flag.key "
    "feature_flag.variant feature_flag.provider_name http.request.body.size http.response.body.size "
    "messaging.message.body.size celery.action celery.state celery.task_name",
    "gen_ai": "gen_ai.agent.id gen_ai.agent.version gen_ai.conversation.id gen_ai.data_source.id "
    "gen_ai.embeddings.dimension.count gen_ai.evaluation.name gen_ai.evaluation.score.label "
    "gen_ai.output.type gen_ai.request.encoding_formats gen_ai.request.service_tier "
    "gen_ai.request.reasoning_effort gen_ai.request.reasoning.effort gen_ai.response.id "
    "gen_ai.response.service_tier gen_ai.token.type gen_ai.tool.type gen_ai.orchestrator.agent.definitions "
    "gen_ai.openai.api_base gen_ai.openai.api_version gen_ai.openai.request.service_tier "
    "gen_ai.openai.response.service_tier gen_ai.openai.response.system_fingerprint "
    "gen_ai.openai.request.response_format openai.request.service_tier openai.response.service_tier "
    "openai.response.system_fingerprint openai.api.type azure.resource_provider.namespace "
    "aws.bedrock.guardrail.id aws.bedrock.knowledge_base.id aws.request_id aws.region mcp.method.name "
    "mcp.protocol.version mcp.session.id mcp.resource.name gen_ai.workflow.name gen_ai.prompt.id "
    "gen_ai.framework gen_ai.sdk.name gen_ai.sdk.version gen_ai.environment gen_ai.application_name",
    "Traceloop": "traceloop.workflow.name traceloop.entity.name traceloop.entity.path "
    "traceloop.entity.version traceloop.prompt.version_name traceloop.prompt.version_hash "
    "traceloop.prompt.managed traceloop.association.properties.session_id "
    "traceloop.association.properties.user_id traceloop.association.properties.conversation_id "
    "traceloop.association.properties.thread_id traceloop.association.properties.run_id "
    "traceloop.association.properties.ls_provider traceloop.association.properties.ls_model_name "
    "traceloop.association.properties.ls_model_type traceloop.association.properties.ls_integration "
    "traceloop.association.properties.langgraph_node "
    "traceloop.association.properties.langgraph_checkpoint_ns llm.vendor vector_db.vendor",
    "OpenInference": "openinference.span.kind graph.node.id graph.node.name graph.node.parent_id agent.id "
    "llm.prompt_template.version tool.id prompt.vendor project.name openinference.project.name "
    "reranker.model_name",
    "Vercel AI SDK": "ai.operationId ai.model.id ai.model.provider ai.telemetry.functionId operation.name "
    "resource.name ai.response.id ai.response.model ai.response.finishReason ai.response.timestamp "
    "ai.finishReason ai.toolCall.id ai.toolCall.name ai.settings.mode ai.schema.name",
    "Google ADK": "gcp.vertex.agent.invocation_id gcp.vertex.agent.event_id gcp.vertex.agent.session_id "
    "gcp.vertex.agent.associated_event_ids",
    "Langfuse": "langfuse.observation.type langfuse.observation.model.name langfuse.observation.level "
    "langfuse.observation.prompt.name langfuse.trace.name langfuse.session.id langfuse.user.id "
    "langfuse.environment langfuse.release langfuse.version langfuse.trace.id",
    "LangSmith": "langsmith.span.kind langsmith.trace.name langsmith.span.id langsmith.span.parent_id "
    "langsmith.trace.id langsmith.trace.session_id langsmith.trace.session_name langsmith.span.dotted_order "
    "langsmith.root.span",
    "Laminar": "lmnr.span.type lmnr.span.path lmnr.span.ids_path lmnr.span.instrumentation_source "
    "lmnr.span.sdk_version lmnr.association.properties.session_id lmnr.association.properties.user_id",
    "MLflow": "mlflow.spanType mlflow.traceRequestId mlflow.experimentId mlflow.spanFunctionName "
    "mlflow.llm.model mlflow.llm.provider mlflow.message.format",
    "Sentry": "sentry.op sentry.origin sentry.platform sentry.environment sentry.release sentry.sdk.name "
    "sentry.sdk.version sentry.trace.status gen_ai.pipeline.name gen_ai.system.version",
    "Logfire": "logfire.span_type logfire.level_name logfire.pending_parent_id logfire.msg_template",
    "LiteLLM": "litellm.call_id litellm.version llm.custom_llm_provider litellm_call_id",
    "Haystack": "haystack.component.name haystack.component.type haystack.version haystack.pipeline.name "
    "haystack.component.fully_qualified_type",
    "CrewAI": "crew_key crew_id crewai_version python_version task_key task_id flow_id agent_id",
    "AutoGen, Semantic Kernel": "autogen.agent.type autogen.agent.id agent_type "
    "semantic_kernel.function.name semantic_kernel.plugin.name",
    "pydantic-ai": "agent_name model_name tool_call_id logfire.metrics.name pydantic_ai.agent.id",
    "Upshot": "upshot.run_id upshot.result",
}
#: `logfire.msg_template` and others hold a text of the programmer's, never of a user's.
_KNOWN = frozenset(
    name
    for names in (
        *(facts.split() for facts in _FACTS.values()),
        *vocabulary.TEXTS.values(),
        *vocabulary.COUNTS.values(),
        *vocabulary.AMOUNTS.values(),
        *vocabulary.LISTS.values(),
        vocabulary.KINDS,
        vocabulary.PROVIDERS,
        vocabulary.MODELS,
        vocabulary.TOTALS,
        vocabulary.RESPONSE_IDS,
        vocabulary.AGENT,
        vocabulary.AGENT_VERSION,
        vocabulary.SESSION,
    )
    for name in names
)


@dataclass(frozen=True)
class RequestedAttributes:
    """Names of attributes wanted beside the known facts: exact names, and beginnings of names."""

    names: frozenset[str] = frozenset()
    beginnings: tuple[str, ...] = ()

    def has(self, name: str) -> bool:
        """Whether an attribute is asked for."""
        return name in self.names or name.startswith(self.beginnings)


NOTHING_ASKED = RequestedAttributes()


def asked_for(names: Iterable[str]) -> RequestedAttributes:
    """The names from a setting: a name ending in `*` is the beginning of many."""
    given = {name.strip() for name in names} - {""}
    beginnings = tuple(sorted(name[:-1] for name in given if name.endswith("*")))
    return RequestedAttributes(frozenset(name for name in given if not name.endswith("*")), beginnings)


def free(
    attributes: Attributes,
    taken: Iterable[str],
    *,
    with_content: bool,
    asked: RequestedAttributes = NOTHING_ASKED,
) -> dict[str, Any]:
    """Attributes without a field: facts alone, or with content all attributes not kept as input or output."""
    return {
        name: value
        for name, value in tidy(attributes, taken).items()
        if (not is_content(name, value) and (with_content or is_fact(name, value, asked)))
        or (asked.has(name) and is_fact(name, value, asked))
    }


def is_fact(name: str, value: Any, asked: RequestedAttributes = NOTHING_ASKED) -> bool:
    """Whether an attribute may be kept although content is off."""
    if asked.has(name):
        return _is_plain(value) and length_of(value) <= LONGEST_ASKED
    if isinstance(value, bool | int | float):
        return isfinite(value) and (name in _KNOWN or _CONTENT_WORDS.isdisjoint(name.lower().split(".")))
    return name in _KNOWN and _is_text(value) and length_of(value) <= LONGEST_FACT


def _is_text(value: Any) -> bool:
    return isinstance(value, str) or (
        isinstance(value, list | tuple) and all(isinstance(item, str) for item in value)
    )


def _is_plain(value: Any) -> bool:
    """Whether JSON can hold the value."""
    if isinstance(value, list | tuple):
        return all(map(_is_plain, value))
    if isinstance(value, Mapping):
        return all(map(_is_plain, value.values()))
    return not isinstance(value, float) or isfinite(value)


__all__ = ["LONGEST_FACT", "NOTHING_ASKED", "RequestedAttributes", "asked_for", "free", "is_fact"]
