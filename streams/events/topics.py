"""Every topic, declared once: its purpose, its key, its retention, its schema."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from types import MappingProxyType
from typing import Literal

from pydantic import BaseModel

from upshot.schemas.alert_rules import AlertRule
from upshot.schemas.alerts import Alert
from upshot.schemas.dead_letters import DeadLetter
from upshot.schemas.deferrals import Deferral
from upshot.schemas.experiments import Experiment
from upshot.schemas.exposures import Exposure
from upshot.schemas.followups import FollowupStatus
from upshot.schemas.names import NameOwner
from upshot.schemas.notices import Notice, NoticeRequest
from upshot.schemas.otlp import TraceRequest
from upshot.schemas.outcomes import Outcome
from upshot.schemas.resumptions import Resumption
from upshot.schemas.runs import Run
from upshot.schemas.saved_queries import SavedQuery
from upshot.schemas.scores import Score
from upshot.schemas.steps import Step
from upshot.schemas.waits import Wait
from upshot.schemas.withdrawals import Erasure, WaitCancellation

#: Larger events are dead-lettered. Kafka itself accepts more (`Topic.max_bytes`), so that they can be kept.
MAX_EVENT_BYTES = 1_000_000
#: A decided score carries the facts of its wait, however many they are, and says some more.
MAX_SCORE_BYTES = MAX_EVENT_BYTES + 65_536
#: A resumption carries the event that answered, and says some more.
MAX_RESUMPTION_BYTES = MAX_EVENT_BYTES + 65_536
#: A dead letter carries the refused record in base64, however large that is.
MAX_DEAD_LETTER_BYTES = 12 * 1024 * 1024
_MAX_INPUT_BYTES = 8 * 1024 * 1024


#: The producer of topics that programs other than ours may write to, and so may the HTTP API.
ANY_CLIENT = "any client"


@dataclass(frozen=True)
class Topic:
    """A topic of the contract; `name` is without the prefix, `key` the field used as key, if any.

    Producers and consumers are roles by name, `ANY_CLIENT`, or programs beside Upshot's roles.
    """

    name: str
    purpose: str
    key: str
    schema: type[BaseModel]
    producers: tuple[str, ...]
    consumers: tuple[str, ...]
    retention: timedelta | None = timedelta(days=7)
    cleanup: Literal["delete", "compact"] = "delete"
    max_bytes: int = _MAX_INPUT_BYTES
    #: What else its records may be.
    also: tuple[type[BaseModel], ...] = ()

    def config(self) -> dict[str, str]:
        """Kafka's settings for this topic."""
        config = {"cleanup.policy": self.cleanup, "max.message.bytes": str(self.max_bytes)}
        if self.cleanup == "delete":
            retention = -1 if self.retention is None else int(self.retention.total_seconds() * 1000)
            config["retention.ms"] = str(retention)
        return config


_DECLARED = (
    Topic(
        "runs",
        "What is known of each run",
        "run_id",
        Run,
        ("SDK", "any client", "traces"),
        ("store", "materialize"),
    ),
    Topic("steps", "The steps of each run", "run_id", Step, ("SDK", "any client", "traces"), ("store",)),
    Topic("outcomes", "Events outside the runs", "subject", Outcome, ("any client",), ("correlate", "store")),
    Topic(
        "waits",
        "Pending scorers: what a run waits for, by subject",
        "subject",
        Wait,
        ("SDK", "followups", "any client"),
        ("correlate", "store"),
        also=(WaitCancellation, Erasure),
    ),
    Topic(
        "exposures", "Variants that runs were given", "run_id", Exposure, ("SDK", "any client"), ("store",)
    ),
    Topic(
        "scores",
        "Every revision of every score",
        "run_id",
        Score,
        ("correlate", "followups", "SDK", "any client"),
        ("store", "evaluations", "alerts"),
    ),
    Topic(
        "deferrals",
        "Work on a run that code does later",
        "followup_id",
        Deferral,
        ("SDK", "followups", "any client"),
        ("followups", "store"),
        retention=timedelta(days=30),
    ),
    Topic(
        "resumptions",
        "Answers to the waits of follow-ups",
        "followup_id",
        Resumption,
        ("correlate", "upshot followups retry"),
        ("followups",),
        retention=timedelta(days=30),
    ),
    Topic(
        "followups", "How each follow-up stands", "followup_id", FollowupStatus, ("followups",), ("store",)
    ),
    Topic(
        "alerts",
        "Bad outcomes, as rules notice them",
        "alert_id",
        Alert,
        ("alerts", "any client"),
        ("notifications", "store"),
        retention=timedelta(days=30),
    ),
    Topic(
        "notice-requests",
        "Alerts on their way to one receiver",
        "receiver",
        NoticeRequest,
        ("notifications", "upshot alerts", "web server"),
        ("notifications",),
    ),
    Topic(
        "notices",
        "What receivers are sent about alerts, and what became of it",
        "alert_id",
        Notice,
        ("notifications",),
        ("store",),
    ),
    Topic(
        "dead-letters",
        "Input that could not be used, with reason and original bytes",
        "dead_letter_id",
        DeadLetter,
        ("correlate", "store", "traces", "followups", "notifications"),
        ("store",),
        retention=timedelta(days=30),
        max_bytes=MAX_DEAD_LETTER_BYTES,
    ),
    Topic(
        "experiments",
        "The registry of experiments",
        "experiment",
        Experiment,
        ("upshot experiments", "alerts", "experiments", "any client"),
        ("SDK", "store", "experiments"),
        retention=None,
        cleanup="compact",
    ),
    Topic(
        "alert-rules",
        "The rules of alerts",
        "name",
        AlertRule,
        ("upshot alerts", "web server", "any client"),
        ("store", "alerts"),
        retention=None,
        cleanup="compact",
    ),
    Topic(
        "names",
        "Names that repositories have had, by the provider's own ids",
        "name",
        NameOwner,
        ("web server",),
        ("web server",),
        retention=None,
        cleanup="compact",
    ),
    Topic(
        "saved-queries",
        "Queries that people have saved on the page",
        "name",
        SavedQuery,
        ("web server",),
        ("web server",),
        retention=None,
        cleanup="compact",
    ),
    Topic(
        "otlp",
        "Spans in OpenTelemetry's own encoding, which become steps and runs",
        "",
        TraceRequest,
        ("OpenTelemetry Collector",),
        ("traces",),
    ),
)

#: All topics of the contract by their short names.
TOPICS: Mapping[str, Topic] = MappingProxyType({topic.name: topic for topic in _DECLARED})

__all__ = [
    "ANY_CLIENT",
    "MAX_DEAD_LETTER_BYTES",
    "MAX_EVENT_BYTES",
    "MAX_RESUMPTION_BYTES",
    "MAX_SCORE_BYTES",
    "TOPICS",
    "Topic",
]
