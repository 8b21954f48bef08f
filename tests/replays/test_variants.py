"""Experiments in a replay: the recorded variant, another on request, and no exposure."""

from __future__ import annotations

import pytest

import upshot
from upshot import App
from upshot.errors import ConfigurationError
from upshot.experiments.overrides import parsed
from upshot.schemas.experiments import Experiment as Record
from upshot.testing import Captured


class Agent:
    """Answers in the tone of an experiment; `answers` has the tones of every draft that was run."""

    def __init__(self, app: App) -> None:
        self.answers: list[str] = []
        tone = app.experiment(
            "tone", {"plain": "Be brief.", "warm": "Be kind."}, control="plain", unit="user"
        )
        self.tone = tone

        @app.step
        def draft(prompt: str) -> str:
            self.answers.append(prompt)
            return f"{prompt} Done."

        @app.agent(name="support")
        def answer(user: str) -> str:
            chosen = tone.choose(unit=user)
            reply = draft(chosen.value)
            upshot.current_run().score("length", len(reply))
            return reply

        self.answer = answer


@pytest.fixture
def agent(app: App) -> Agent:
    return Agent(app)


def recorded(agent: Agent, sent: Captured) -> tuple[str, str]:
    """The run's id, and its variant."""
    agent.answer("user-1")
    [exposure] = sent.exposures
    return exposure["run_id"], exposure["variant"]


def register(app: App, **weights: float) -> None:
    """The registry's weights, as the reader of the topic would take them."""
    event = {"experiment": "tone", "control": "plain", "unit": "user", "variants": weights}
    record = Record.model_validate(event | {"changed_at": "2026-05-01T00:00:00Z"})
    app.registry.definition("")
    app.registry.take({"tone": record})


def test_the_recorded_variant_is_given_whatever_the_registry_says(
    app: App, sent: Captured, agent: Agent
) -> None:
    run_id, variant = recorded(agent, sent)
    other = {"plain": "warm", "warm": "plain"}[variant]
    register(app, **{variant: 0.0, other: 1.0})
    assert agent.tone.peek("user-1").name == other
    result = upshot.replay(app, run_id, "draft", history=sent)
    assert agent.answers == [agent.tone.arms[variant]] * 2
    assert result.notes == []
    assert len(sent.exposures) == 1


def test_another_variant_on_request(app: App, sent: Captured, agent: Agent) -> None:
    run_id, variant = recorded(agent, sent)
    other = {"plain": "warm", "warm": "plain"}[variant]
    result = upshot.replay(app, run_id, "draft", history=sent, variants={"tone": other})
    assert agent.answers[-1] == agent.tone.arms[other]
    assert list(result.notes) == [f"tone: {other}, where the recorded run had {variant}"]
    assert len(sent.exposures) == 1
    assert all(
        "exposures" not in score or not score["exposures"]
        for score in sent.scores
        if score.get("replayed_from")
    )


def test_a_run_that_was_not_exposed_gets_the_control(app: App, sent: Captured, agent: Agent) -> None:
    register(app, plain=0.0, warm=0.0)
    agent.answer("user-1")
    assert sent.exposures == []
    register(app, plain=0.0, warm=1.0)
    [run_id] = {run["run_id"] for run in sent.runs}
    upshot.replay(app, run_id, "draft", history=sent)
    assert agent.answers == ["Be brief.", "Be brief."]
    assert sent.exposures == []


def test_a_variant_that_the_code_lacks_is_the_control(
    app: App, sent: Captured, agent: Agent, caplog: pytest.LogCaptureFixture
) -> None:
    run_id, _ = recorded(agent, sent)
    upshot.replay(app, run_id, "draft", history=sent, variants={"tone": "purple"})
    assert agent.answers[-1] == "Be brief."
    assert "the code lacks the chosen arm" in caplog.text


def test_the_option_is_named_in_its_own_errors() -> None:
    with pytest.raises(ConfigurationError, match="--variant has 'tone'"):
        parsed("tone", "--variant")
