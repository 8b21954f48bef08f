"""Every exception that Upshot raises on purpose.

    UpshotError
    ├── ConfigurationError      a setting is missing or wrong: nothing was done, fix it and start again
    ├── InvalidEvent            bytes do not parse or validate: dead-lettered, never retried
    ├── Unavailable             a part does not answer: retried with backoff, nothing is lost
    │   ├── KafkaUnavailable
    │   └── ClickHouseUnavailable
    ├── Misuse                  the SDK was called in a way that can't work: nothing was recorded
    ├── StepFailed              a step of a follow-up raised: caught, it has failed for good; else all is tried again
    ├── SpoolFull               no room for a fact while Kafka is away: that fact is not recorded
    ├── PartFailed              a local part (Kafka, ClickHouse, worker) could not be started: fatal
    ├── UnitFailed              a worker's unit of work failed: nothing of it is committed, it is done again
    ├── QueryFailed             ClickHouse refused a query: fatal for that query only
    ├── ReplayRefused           a run can't be made again, or not any further: what was run so far is told
    ├── LinkRefused             a signed link is damaged or expired: nothing is recorded
    └── Unsigned                a webhook's signature is missing or wrong: nothing is taken, the sender is told why

Each message says what happened, what becomes of the data, and what to do.
"""

_LONGEST_DETAIL = 2_000


class UpshotError(Exception):
    """The root: catch it to catch all that Upshot raises on purpose."""


class ConfigurationError(UpshotError):
    """A setting is missing or wrong; fatal: nothing was started."""


class InvalidEvent(UpshotError):
    """Bytes do not parse or do not validate; dead-lettered, never retried.

    `reason` is a stable code (see `upshot.schemas.dead_letters.Reason`), `detail` a sentence for people: cut
    where it repeats much of the event, and text that can be written whatever it repeats.
    """

    def __init__(self, reason: str, detail: str) -> None:
        detail = detail[:_LONGEST_DETAIL].encode("utf-8", "replace").decode()
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


class Unavailable(UpshotError):
    """A part does not answer; the work is retried with backoff and nothing is lost."""


class KafkaUnavailable(Unavailable):
    """No broker answers at the Kafka URL; retried with backoff."""


class ClickHouseUnavailable(Unavailable):
    """ClickHouse does not answer or refuses the connection; retried with backoff."""


class Misuse(UpshotError):
    """The SDK was called in a way that can't work; nothing was recorded, the message says what to write instead."""


class StepFailed(UpshotError):
    """A step of a follow-up raised; the message says what, and `__cause__` is the error where it was raised just now.

    Code that catches it and goes on will find that step failed each time. Where nothing catches it, the follow-up is
    tried again later: this step anew, those that worked are not.
    """


class SpoolFull(UpshotError):
    """A fact could not be kept until Kafka takes it; it is not recorded, what was kept before is safe."""


class PartFailed(UpshotError):
    """A part of the local stack could not be started or kept alive; fatal, its log says why."""


class UnitFailed(UpshotError):
    """A worker's unit of work failed; fatal for the process: a restart does it again, nothing is lost."""


class QueryFailed(UpshotError):
    """ClickHouse refused a query; fatal for that query, the data is untouched."""


class ReplayRefused(UpshotError):
    """A run can't be made again, or not any further; the recorded run is untouched, nothing of the world was told.

    `so_far` is the `upshot.replays.Replayed` of what was run until then, None where that is nothing.
    """

    def __init__(self, detail: str, so_far: object = None) -> None:
        super().__init__(detail)
        self.so_far = so_far


class LinkRefused(UpshotError):
    """A signed link is damaged, not ours, or expired; nothing is recorded."""

    def __init__(self, detail: str, *, expired: bool = False) -> None:
        super().__init__(detail)
        self.expired = expired


class Unsigned(UpshotError):
    """A webhook's signature is missing, wrong or too old; nothing is taken, the sender is told why."""


__all__ = [
    "ClickHouseUnavailable",
    "ConfigurationError",
    "InvalidEvent",
    "KafkaUnavailable",
    "LinkRefused",
    "Misuse",
    "PartFailed",
    "QueryFailed",
    "ReplayRefused",
    "SpoolFull",
    "StepFailed",
    "Unavailable",
    "UnitFailed",
    "Unsigned",
    "UpshotError",
]
