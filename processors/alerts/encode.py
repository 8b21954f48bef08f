"""Alerts as records."""

from __future__ import annotations

from upshot.schemas.alerts import Alert
from upshot.schemas.experiments import Experiment
from upshot.settings import Settings
from upshot.streams.events.effects import Output


def alert_record(settings: Settings, alert: Alert) -> Output:
    """The record of one state of an alert; all states of an alert have one key, and keep their order."""
    value = alert.model_dump_json(exclude_none=True).encode()
    return Output(settings.topic("alerts"), None, alert.alert_id.encode(), value)


def experiment_record(settings: Settings, record: Experiment) -> Output:
    """A record of the registry of experiments."""
    value = record.model_dump_json(exclude_unset=True).encode()
    return Output(settings.topic("experiments"), None, record.experiment.encode(), value)


__all__ = ["alert_record", "experiment_record"]
