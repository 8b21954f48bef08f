"""The cases of agents' frameworks, beside those of `cases`; `CASES` has all."""

from __future__ import annotations

import asyncio
import os
from typing import Any

import upshot
from tools.frameworks.cases import CASES, OPENAI, PROMPT, Call, Case, case

_OPENAI_AGENTS = "OpenAIAgentsInstrumentor().instrument(tracer_provider=app.instrument())"


def _agents(address: str, model: str) -> Call:
    import agents
    import openai

    client = openai.AsyncOpenAI(base_url=f"{address}/v1", api_key="x")
    agent = agents.Agent(name="helper", model=getattr(agents, model)(OPENAI, client))
    return lambda: agents.Runner.run_sync(agent, PROMPT)


@case(
    "OpenAI Agents SDK, OpenInference",
    "openai-agents",
    "openinference-instrumentation-openai-agents",
    setup=_OPENAI_AGENTS,
)
def agents_openinference(app: upshot.App, address: str) -> Call:
    from openinference.instrumentation.openai_agents import OpenAIAgentsInstrumentor

    OpenAIAgentsInstrumentor().instrument(tracer_provider=app.instrument())
    return _agents(address, "OpenAIChatCompletionsModel")


@case(
    "OpenAI Agents SDK, OpenLLMetry",
    "openai-agents",
    "opentelemetry-instrumentation-openai-agents",
    setup=_OPENAI_AGENTS,
)
def agents_openllmetry(app: upshot.App, address: str) -> Call:
    from opentelemetry.instrumentation.openai_agents import OpenAIAgentsInstrumentor

    OpenAIAgentsInstrumentor().instrument(tracer_provider=app.instrument())
    return _agents(address, "OpenAIResponsesModel")


@case(
    "OpenAI Agents SDK over Chat Completions, OpenLLMetry",
    "openai-agents",
    "opentelemetry-instrumentation-openai-agents",
    setup=_OPENAI_AGENTS,
    lack="no tokens on its spans for Chat Completions; add an instrumentation of the OpenAI client",
)
def agents_openllmetry_chat(app: upshot.App, address: str) -> Call:
    from opentelemetry.instrumentation.openai_agents import OpenAIAgentsInstrumentor

    OpenAIAgentsInstrumentor().instrument(tracer_provider=app.instrument())
    return _agents(address, "OpenAIChatCompletionsModel")


@case(
    "OpenAI Agents SDK over Chat Completions, OpenLLMetry for both",
    "openai-agents",
    "opentelemetry-instrumentation-openai-agents",
    "opentelemetry-instrumentation-openai",
    setup="OpenAIAgentsInstrumentor().instrument(…); OpenAIInstrumentor().instrument(…)",
)
def agents_openllmetry_both(app: upshot.App, address: str) -> Call:
    from opentelemetry.instrumentation.openai import OpenAIInstrumentor

    call = agents_openllmetry_chat(app, address)
    OpenAIInstrumentor().instrument(tracer_provider=app.instrument())
    return call


@case("Google ADK's own", "google-adk", "litellm", setup="app.instrument()")
def google_adk(app: upshot.App, address: str) -> Call:
    app.instrument()
    return _adk(address)


@case(
    "Google ADK, OpenInference",
    "google-adk",
    "litellm",
    "openinference-instrumentation-google-adk",
    setup="GoogleADKInstrumentor().instrument(tracer_provider=app.instrument())",
)
def google_adk_openinference(app: upshot.App, address: str) -> Call:
    from openinference.instrumentation.google_adk import GoogleADKInstrumentor

    GoogleADKInstrumentor().instrument(tracer_provider=app.instrument())
    return _adk(address)


def _adk(address: str) -> Call:
    from google.adk.agents import LlmAgent
    from google.adk.models.lite_llm import LiteLlm
    from google.adk.runners import InMemoryRunner
    from google.genai import types

    model = LiteLlm(model=f"openai/{OPENAI}", api_base=f"{address}/v1", api_key="x")
    runner = InMemoryRunner(LlmAgent(name="helper", model=model), app_name="app")

    async def ask() -> None:
        session = await runner.session_service.create_session(app_name="app", user_id="u")
        text = types.Content(role="user", parts=[types.Part(text=PROMPT)])
        async for _ in runner.run_async(user_id="u", session_id=session.id, new_message=text):
            pass

    return lambda: asyncio.run(ask())


def _crew(address: str) -> Call:
    os.environ["CREWAI_DISABLE_TELEMETRY"] = "true"
    from crewai import LLM, Agent, Crew, Task

    model = LLM(model=f"openai/{OPENAI}", base_url=f"{address}/v1", api_key="x")
    agent = Agent(role="helper", goal="help", backstory="helps", llm=model)
    task = Task(description=PROMPT, expected_output="an answer", agent=agent)
    return lambda: Crew(agents=[agent], tasks=[task]).kickoff()


@case(
    "CrewAI, OpenInference for CrewAI and the OpenAI client",
    "crewai",
    "openinference-instrumentation-crewai",
    "openinference-instrumentation-openai",
    setup="CrewAIInstrumentor().instrument(…); OpenAIInstrumentor().instrument(…)",
)
def crewai(app: upshot.App, address: str) -> Call:
    from openinference.instrumentation.crewai import CrewAIInstrumentor
    from openinference.instrumentation.openai import OpenAIInstrumentor

    provider = app.instrument()
    CrewAIInstrumentor().instrument(tracer_provider=provider)
    OpenAIInstrumentor().instrument(tracer_provider=provider)
    return _crew(address)


@case(
    "DSPy, OpenInference for DSPy",
    "dspy",
    "openinference-instrumentation-dspy",
    setup="DSPyInstrumentor().instrument(tracer_provider=app.instrument())",
    lack="no tokens on its spans: take LiteLLM's engine and instrument LiteLLM alone",
)
def dspy_openinference(app: upshot.App, address: str) -> Call:
    from openinference.instrumentation.dspy import DSPyInstrumentor

    DSPyInstrumentor().instrument(tracer_provider=app.instrument())
    return _dspy(address)


@case(
    "DSPy, OpenInference for LiteLLM",
    "dspy",
    "openinference-instrumentation-litellm",
    setup='LiteLLMInstrumentor().instrument(…); dspy.LM(…, engine="litellm")',
)
def dspy_litellm(app: upshot.App, address: str) -> Call:
    from openinference.instrumentation.litellm import LiteLLMInstrumentor

    LiteLLMInstrumentor().instrument(tracer_provider=app.instrument())
    return _dspy(address, engine="litellm")


def _dspy(address: str, **options: Any) -> Call:
    import dspy

    model = dspy.LM(f"openai/{OPENAI}", api_base=f"{address}/v1", api_key="x", cache=False, **options)
    return lambda: model(PROMPT)


@case(
    "AutoGen, OpenInference for AutoGen and the OpenAI client",
    "autogen-agentchat",
    "autogen-ext",
    "openinference-instrumentation-autogen-agentchat",
    "openinference-instrumentation-openai",
    setup="AutogenAgentChatInstrumentor().instrument(…); OpenAIInstrumentor().instrument(…)",
)
def autogen(app: upshot.App, address: str) -> Call:
    from autogen_agentchat.agents import AssistantAgent
    from autogen_ext.models.openai import OpenAIChatCompletionClient
    from openinference.instrumentation.autogen_agentchat import AutogenAgentChatInstrumentor
    from openinference.instrumentation.openai import OpenAIInstrumentor

    provider = app.instrument()
    AutogenAgentChatInstrumentor().instrument(tracer_provider=provider)
    OpenAIInstrumentor().instrument(tracer_provider=provider)
    client: Any = OpenAIChatCompletionClient(model=OPENAI, base_url=f"{address}/v1", api_key="x")
    agent = AssistantAgent("helper", model_client=client)
    return lambda: asyncio.run(agent.run(task=PROMPT))


__all__ = ["CASES", "Case"]
