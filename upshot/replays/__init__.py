"""Replaying a run: recorded results up to a step, today's code from there on, both runs side by side."""

from upshot.replays.comparison import ComparedStep, ReplayTotals
from upshot.replays.history import ClickHouseHistory, History, Story
from upshot.replays.player import Choice, SideEffect
from upshot.replays.replay import Replayed, replay

__all__ = [
    "Choice",
    "ClickHouseHistory",
    "ComparedStep",
    "History",
    "ReplayTotals",
    "Replayed",
    "SideEffect",
    "Story",
    "replay",
]
