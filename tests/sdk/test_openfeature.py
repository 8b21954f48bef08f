"""OpenFeature on top of experiments, and other providers' evaluations as exposures."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from openfeature import api
from openfeature.client import OpenFeatureClient
from openfeature.evaluation_context import EvaluationContext
from openfeature.exception import ErrorCode
from openfeature.flag_evaluation import FlagResolutionDetails, Reason
from openfeature.provider import AbstractProvider, Metadata
from openfeature.track import TrackingEventDetails

from upshot import App, Experiment
from upshot.errors import Misuse
from upshot.openfeature import ExposureHook, UpshotProvider
from upshot.testing import Captured

ANN = EvaluationContext("user-1", {"plan": "pro"})


@pytest.fixture(autouse=True)
def clean() -> Iterator[None]:
    yield
    api.clear_hooks()
    api.clear_providers()


@pytest.fixture
def tone(app: App) -> Experiment[Any]:
    return app.experiment("tone", {"plain": "Be brief.", "warm": "Be kind."}, control="plain", unit="user")


@pytest.fixture
def client(app: App, tone: Experiment[Any]) -> OpenFeatureClient:
    numbers = app.experiment("budget", {"low": 1, "high": 2}, control="low", unit="user")
    flags = app.experiment("cache", {"off": False, "on": True}, control="off")
    lists = app.experiment("tools", {"few": ["a"], "many": ["a", "b"]}, control="few", unit="user")
    api.set_provider(UpshotProvider(app, [tone, numbers, flags, lists]))
    return api.get_client()


def test_a_flag_in_a_run_is_an_exposure(
    app: App, sent: Captured, client: OpenFeatureClient, tone: Any
) -> None:
    with app.run():
        details = client.get_string_details("tone", "none", ANN)
    assert details.variant is not None and details.value == tone.arms[details.variant]
    assert details.reason == Reason.SPLIT
    assert details.flag_metadata["probability"] == 0.5 and details.flag_metadata["phase"]
    [exposure] = sent.exposures
    assert (exposure["experiment"], exposure["variant"], exposure["unit"]) == (
        "tone",
        details.variant,
        "user-1",
    )


def test_a_flag_outside_of_runs_is_looked_up(sent: Captured, client: OpenFeatureClient, tone: Any) -> None:
    assert client.get_string_value("tone", "none", ANN) == tone.peek("user-1").value
    assert sent.exposures == []


def test_every_type_of_flag(app: App, sent: Captured, client: OpenFeatureClient) -> None:
    with app.run():
        assert client.get_integer_value("budget", 0, ANN) in (1, 2)
        assert client.get_float_value("budget", 0.0, ANN) in (1.0, 2.0)
        assert client.get_boolean_value("cache", True) in (True, False)
        assert client.get_object_value("tools", {}, ANN) in (["a"], ["a", "b"])


@pytest.mark.parametrize(
    ("key", "context", "code"),
    [
        ("unknown", ANN, ErrorCode.FLAG_NOT_FOUND),
        ("tone", None, ErrorCode.TARGETING_KEY_MISSING),
        ("budget", ANN, ErrorCode.TYPE_MISMATCH),
        ("cache", ANN, ErrorCode.TYPE_MISMATCH),
    ],
)
def test_what_cannot_be_answered_is_the_default(
    sent: Captured, client: OpenFeatureClient, key: str, context: EvaluationContext | None, code: ErrorCode
) -> None:
    details = client.get_string_details(key, "default", context)
    assert (details.value, details.error_code, details.reason) == ("default", code, Reason.ERROR)


def test_tracking_is_an_outcome(sent: Captured, client: OpenFeatureClient) -> None:
    client.track("order.kept", ANN, TrackingEventDetails(12.5, {"subject": "order:7", "items": 2}))
    client.track("visit.ended", ANN)
    kept, ended = sent.outcomes
    assert (kept["type"], kept["subject"], kept["data"]) == (
        "order.kept",
        "order:7",
        {"items": 2, "value": 12.5},
    )
    assert (ended["type"], ended["subject"]) == ("visit.ended", "user-1")
    with pytest.raises(Misuse, match="names no subject"):
        client.track("visit.ended")


class Elsewhere(AbstractProvider):
    """Another provider: answers every flag with the same details."""

    def __init__(self, **details: Any) -> None:
        super().__init__()
        self.details = details

    def get_metadata(self) -> Metadata:
        return Metadata("elsewhere")

    def _answer(self, *_: Any, **__: Any) -> FlagResolutionDetails[Any]:
        return FlagResolutionDetails(**self.details)

    resolve_boolean_details = resolve_string_details = resolve_integer_details = _answer
    resolve_float_details = resolve_object_details = _answer


def evaluated(app: App, experiment: Experiment[Any], details: Mapping[str, Any], key: str = "tone") -> None:
    api.set_provider(Elsewhere(**details))
    client = api.get_client()
    client.add_hooks([ExposureHook([experiment])])
    with app.run():
        client.get_string_value(key, "none", ANN)


@pytest.mark.parametrize(
    "details",
    [
        {"value": "Be kind.", "variant": "warm", "reason": Reason.SPLIT},
        {"value": "Be kind.", "variant": "1", "reason": "SPLIT", "flag_metadata": {"inExperiment": True}},
        {"value": "Be kind.", "variant": "rule-77", "reason": Reason.TARGETING_MATCH},
        {"value": "Be kind."},
    ],
)
def test_another_providers_choice_is_an_exposure(
    app: App, sent: Captured, tone: Experiment[Any], details: dict[str, Any]
) -> None:
    evaluated(app, tone, details)
    [exposure] = sent.exposures
    assert (exposure["variant"], exposure["unit"], exposure["strategy"]) == ("warm", "user-1", "external")
    assert exposure["probability"] == 0.5


@pytest.mark.parametrize(
    ("details", "key"),
    [
        ({"value": "Be kind.", "variant": "warm", "reason": Reason.STATIC}, "tone"),
        ({"value": "Be kind.", "variant": "1", "flag_metadata": {"inExperiment": False}}, "tone"),
        ({"value": "something else", "variant": "7"}, "tone"),
        ({"value": "Be kind.", "variant": "warm"}, "another-flag"),
    ],
)
def test_evaluations_that_chose_nothing_are_none(
    app: App, sent: Captured, tone: Experiment[Any], details: dict[str, Any], key: str
) -> None:
    evaluated(app, tone, details, key)
    assert sent.exposures == []


def test_outside_of_runs_nothing_is_recorded(sent: Captured, tone: Experiment[Any]) -> None:
    api.set_provider(Elsewhere(value="Be kind.", variant="warm"))
    client = api.get_client()
    client.add_hooks([ExposureHook([tone])])
    assert client.get_string_value("tone", "none", ANN) == "Be kind."
    assert sent.exposures == []
