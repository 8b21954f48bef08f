"""Cases of clients and libraries: a framework, its instrumentation, and code calling a model with both.

A case's function gets the app and the server's address, sets the instrumentation up, and returns the function
calling the model. All prompts contain `SECRET`.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import upshot

Call = Callable[[], object]
SetUp = Callable[[upshot.App, str], Call]

PROMPT = "SECRET question"
MESSAGES: Any = [{"role": "user", "content": PROMPT}]
OPENAI, CLAUDE = "gpt-4o-mini", "claude-sonnet-4-5"


@dataclass(frozen=True)
class Case:
    """A row of the table: `packages` are installed, `setup` are the lines written by a user.

    `lack` tells what the instrumentation itself doesn't report: then no tokens are expected.
    """

    name: str
    packages: tuple[str, ...]
    setup: str
    set_up: SetUp
    lack: str = ""


CASES: dict[str, Case] = {}


def case(name: str, *packages: str, setup: str, lack: str = "") -> Callable[[SetUp], SetUp]:
    """Add a case."""

    def add(set_up: SetUp) -> SetUp:
        CASES[name] = Case(name, packages, setup, set_up, lack)
        return set_up

    return add


def _openai(address: str) -> Any:
    import openai

    return openai.OpenAI(base_url=f"{address}/v1", api_key="x")


def _chat(client: Any, **options: Any) -> object:
    return client.chat.completions.create(model=OPENAI, messages=MESSAGES, **options)


def _claude(address: str) -> Any:
    import anthropic

    return anthropic.Anthropic(base_url=address, api_key="x")


def _stream_claude(client: Any) -> None:
    with client.messages.stream(model=CLAUDE, max_tokens=9, messages=MESSAGES) as stream:
        stream.get_final_message()


@case(
    "OpenAI client, OpenInference",
    "openai",
    "openinference-instrumentation-openai",
    setup="OpenAIInstrumentor().instrument(tracer_provider=app.instrument())",
)
def openai_openinference(app: upshot.App, address: str) -> Call:
    from openinference.instrumentation.openai import OpenAIInstrumentor

    OpenAIInstrumentor().instrument(tracer_provider=app.instrument())
    client = _openai(address)
    return lambda: (_chat(client), list(_chat(client, stream=True, stream_options={"include_usage": True})))  # type: ignore[call-overload]


@case(
    "OpenAI client, OpenLLMetry",
    "openai",
    "opentelemetry-instrumentation-openai",
    setup="OpenAIInstrumentor().instrument(tracer_provider=app.instrument())",
)
def openai_openllmetry(app: upshot.App, address: str) -> Call:
    from opentelemetry.instrumentation.openai import OpenAIInstrumentor

    OpenAIInstrumentor().instrument(tracer_provider=app.instrument())
    client = _openai(address)
    return lambda: (_chat(client), client.responses.create(model=OPENAI, input=PROMPT))


@case(
    "OpenAI client, OpenTelemetry's own",
    "openai",
    "opentelemetry-instrumentation-openai-v2",
    setup="OpenAIInstrumentor().instrument(tracer_provider=app.instrument())",
)
def openai_v2(app: upshot.App, address: str) -> Call:
    from opentelemetry.instrumentation.openai_v2 import OpenAIInstrumentor

    OpenAIInstrumentor().instrument(tracer_provider=app.instrument())
    client = _openai(address)
    return lambda: _chat(client)


@case("Anthropic client by itself", "anthropic", setup="app.instrument()")
def anthropic_alone(app: upshot.App, address: str) -> Call:
    app.instrument()
    client = _claude(address)
    return lambda: client.messages.create(model=CLAUDE, max_tokens=9, messages=MESSAGES)


@case(
    "Anthropic client, OpenLLMetry",
    "anthropic",
    "opentelemetry-instrumentation-anthropic",
    setup="AnthropicInstrumentor().instrument(tracer_provider=app.instrument())",
)
def anthropic_openllmetry(app: upshot.App, address: str) -> Call:
    from opentelemetry.instrumentation.anthropic import AnthropicInstrumentor

    AnthropicInstrumentor().instrument(tracer_provider=app.instrument())
    client = _claude(address)
    return lambda: client.messages.create(model=CLAUDE, max_tokens=9, messages=MESSAGES)


@case(
    "Anthropic client streaming, OpenInference",
    "anthropic",
    "openinference-instrumentation-anthropic",
    setup="AnthropicInstrumentor().instrument(tracer_provider=app.instrument())",
)
def anthropic_openinference(app: upshot.App, address: str) -> Call:
    from openinference.instrumentation.anthropic import AnthropicInstrumentor

    AnthropicInstrumentor().instrument(tracer_provider=app.instrument())
    client = _claude(address)
    return lambda: _stream_claude(client)


def _langchain(address: str) -> Call:
    from langchain_openai import ChatOpenAI

    model = ChatOpenAI(model=OPENAI, base_url=f"{address}/v1", api_key="x")  # type: ignore[arg-type]
    return lambda: model.invoke(PROMPT)


@case(
    "LangChain, OpenInference",
    "langchain-openai",
    "openinference-instrumentation-langchain",
    setup="LangChainInstrumentor().instrument(tracer_provider=app.instrument())",
)
def langchain_openinference(app: upshot.App, address: str) -> Call:
    from openinference.instrumentation.langchain import LangChainInstrumentor

    LangChainInstrumentor().instrument(tracer_provider=app.instrument())
    return _langchain(address)


@case(
    "LangChain, OpenInference for LangChain and the OpenAI client",
    "langchain-openai",
    "openinference-instrumentation-langchain",
    "openinference-instrumentation-openai",
    setup="LangChainInstrumentor().instrument(…); OpenAIInstrumentor().instrument(…)",
)
def langchain_and_client(app: upshot.App, address: str) -> Call:
    from openinference.instrumentation.langchain import LangChainInstrumentor
    from openinference.instrumentation.openai import OpenAIInstrumentor

    provider = app.instrument()
    LangChainInstrumentor().instrument(tracer_provider=provider)
    OpenAIInstrumentor().instrument(tracer_provider=provider)
    ask = _langchain(address)
    return lambda: [ask() for _ in range(3)]


@case(
    "LangChain, OpenLLMetry, beside OpenInference for the OpenAI client",
    "langchain-openai",
    "opentelemetry-instrumentation-langchain",
    "openinference-instrumentation-openai",
    setup="LangchainInstrumentor().instrument(…); OpenAIInstrumentor().instrument(…)",
)
def langchain_twice(app: upshot.App, address: str) -> Call:
    from openinference.instrumentation.openai import OpenAIInstrumentor
    from opentelemetry.instrumentation.langchain import LangchainInstrumentor

    provider = app.instrument()
    LangchainInstrumentor().instrument(tracer_provider=provider)
    OpenAIInstrumentor().instrument(tracer_provider=provider)
    return _langchain(address)


@case(
    "LangGraph, OpenInference for LangChain and the OpenAI client",
    "langgraph",
    "langchain-openai",
    "openinference-instrumentation-langchain",
    "openinference-instrumentation-openai",
    setup="LangChainInstrumentor().instrument(…); OpenAIInstrumentor().instrument(…)",
)
def langgraph(app: upshot.App, address: str) -> Call:
    from langgraph.graph import END, START, MessagesState, StateGraph
    from openinference.instrumentation.langchain import LangChainInstrumentor
    from openinference.instrumentation.openai import OpenAIInstrumentor

    provider = app.instrument()
    LangChainInstrumentor().instrument(tracer_provider=provider)
    OpenAIInstrumentor().instrument(tracer_provider=provider)
    ask = _langchain(address)
    graph: Any = StateGraph(MessagesState)
    graph.add_node("ask", lambda state: {"messages": [ask()]})
    graph.add_edge(START, "ask")
    graph.add_edge("ask", END)
    compiled = graph.compile()
    return lambda: compiled.invoke({"messages": MESSAGES})


def _litellm(address: str) -> Call:
    import litellm

    return lambda: litellm.completion(
        model=f"openai/{OPENAI}", messages=MESSAGES, api_base=f"{address}/v1", api_key="x"
    )


@case(
    "LiteLLM, OpenInference",
    "litellm",
    "openinference-instrumentation-litellm",
    setup="LiteLLMInstrumentor().instrument(tracer_provider=app.instrument())",
)
def litellm_openinference(app: upshot.App, address: str) -> Call:
    from openinference.instrumentation.litellm import LiteLLMInstrumentor

    LiteLLMInstrumentor().instrument(tracer_provider=app.instrument())
    return _litellm(address)


@case("LiteLLM's own callback", "litellm", setup='app.instrument(); litellm.callbacks = ["otel"]')
def litellm_callback(app: upshot.App, address: str) -> Call:
    os.environ.setdefault("OTEL_EXPORTER", "in_memory")
    app.instrument()
    import litellm

    litellm.callbacks = ["otel"]
    return _litellm(address)


@case("pydantic-ai's own", "pydantic-ai-slim", setup="app.instrument(); Agent.instrument_all()")
def pydantic_ai(app: upshot.App, address: str) -> Call:
    from pydantic_ai import Agent
    from pydantic_ai.models.openai import OpenAIChatModel
    from pydantic_ai.providers.openai import OpenAIProvider

    app.instrument()
    Agent.instrument_all()
    provider = OpenAIProvider(base_url=f"{address}/v1", api_key="x")
    agent = Agent(OpenAIChatModel(OPENAI, provider=provider))
    return lambda: agent.run_sync(PROMPT)


@case(
    "Agno, OpenInference",
    "agno",
    "openinference-instrumentation-agno",
    setup="AgnoInstrumentor().instrument(tracer_provider=app.instrument())",
)
def agno(app: upshot.App, address: str) -> Call:
    from agno.agent import Agent
    from agno.models.openai import OpenAIChat
    from openinference.instrumentation.agno import AgnoInstrumentor

    AgnoInstrumentor().instrument(tracer_provider=app.instrument())
    agent = Agent(model=OpenAIChat(id=OPENAI, base_url=f"{address}/v1", api_key="x"), telemetry=False)
    return lambda: agent.run(PROMPT)


@case("Strands Agents' own", "strands-agents", setup="app.instrument()")
def strands(app: upshot.App, address: str) -> Call:
    app.instrument()
    from strands import Agent
    from strands.models.openai import OpenAIModel

    model = OpenAIModel(client_args={"base_url": f"{address}/v1", "api_key": "x"}, model_id=OPENAI)
    agent = Agent(model=model, callback_handler=None)
    return lambda: agent(PROMPT)


@case(
    "smolagents, OpenInference",
    "smolagents",
    "openinference-instrumentation-smolagents",
    setup="SmolagentsInstrumentor().instrument(tracer_provider=app.instrument())",
)
def smolagents(app: upshot.App, address: str) -> Call:
    from openinference.instrumentation.smolagents import SmolagentsInstrumentor
    from smolagents import OpenAIServerModel

    SmolagentsInstrumentor().instrument(tracer_provider=app.instrument())
    model = OpenAIServerModel(OPENAI, api_base=f"{address}/v1", api_key="x")
    return lambda: model.generate([{"role": "user", "content": [{"type": "text", "text": PROMPT}]}])


@case(
    "LlamaIndex, OpenInference",
    "llama-index-llms-openai",
    "openinference-instrumentation-llama-index",
    setup="LlamaIndexInstrumentor().instrument(tracer_provider=app.instrument())",
)
def llama_index(app: upshot.App, address: str) -> Call:
    from llama_index.core.llms import ChatMessage
    from llama_index.llms.openai import OpenAI
    from openinference.instrumentation.llama_index import LlamaIndexInstrumentor

    LlamaIndexInstrumentor().instrument(tracer_provider=app.instrument())
    model = OpenAI(model=OPENAI, api_base=f"{address}/v1", api_key="x")
    return lambda: model.chat([ChatMessage(role="user", content=PROMPT)])


@case(
    "Haystack, OpenInference",
    "haystack-ai",
    "openinference-instrumentation-haystack",
    setup="HaystackInstrumentor().instrument(tracer_provider=app.instrument())",
)
def haystack(app: upshot.App, address: str) -> Call:
    from haystack import Pipeline
    from haystack.components.generators.chat import OpenAIChatGenerator
    from haystack.dataclasses import ChatMessage
    from haystack.utils import Secret
    from openinference.instrumentation.haystack import HaystackInstrumentor

    HaystackInstrumentor().instrument(tracer_provider=app.instrument())
    pipeline = Pipeline()
    pipeline.add_component(
        "llm",
        OpenAIChatGenerator(api_key=Secret.from_token("x"), model=OPENAI, api_base_url=f"{address}/v1"),
    )
    return lambda: pipeline.run({"llm": {"messages": [ChatMessage.from_user(PROMPT)]}})


@case(
    "Logfire, set up before Upshot",
    "logfire",
    "openai",
    setup="logfire.configure(…); app.instrument(); logfire.instrument_openai()",
)
def logfire_first(app: upshot.App, address: str) -> Call:
    import logfire

    logfire.configure(send_to_logfire=False, console=False)
    app.instrument()
    client = _openai(address)
    logfire.instrument_openai(client)
    return lambda: _chat(client)


@case(
    "Logfire, set up after Upshot",
    "logfire",
    "openai",
    setup="app.instrument(); logfire.configure(…); logfire.instrument_openai()",
)
def logfire_last(app: upshot.App, address: str) -> Call:
    import logfire

    app.instrument()
    logfire.configure(send_to_logfire=False, console=False)
    client = _openai(address)
    logfire.instrument_openai(client)
    return lambda: _chat(client)


__all__ = ["CASES", "Case", "case"]
