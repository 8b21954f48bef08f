"""Every exception raised by Upshot on purpose.

    UpshotError
    ├── ConfigurationError      a setting is missing or wrong: nothing was done, fix it and start again
    ├── InvalidEvent            bytes do not parse or validate: dead-lettered, never retried
    ├── Unavailable             a component does not answer: retried with backoff, nothing is lost
    │   ├── KafkaUnavailable
    │   └── ClickHouseUnavailable
    ├── Misuse                  a call of the SDK can't work: nothing was recorded
    ├── StepFailed              a step of a follow-up raised: if caught, failed for good; else all is retried
    ├── SpoolFull               no room for a fact while Kafka is away: the fact is not recorded
    ├── PartFailed              a local component (Kafka, ClickHouse, worker) could not be started: fatal
    ├── UnitFailed              a worker's unit of work failed: nothing is committed, the unit is done again
    ├── QueryFailed             ClickHouse refused a query: fatal for this query only
    ├── ReplayRefused           a run can't be replayed, or not any further: the replay so far is reported
    ├── LinkRefused             a signed link is damaged or expired: nothing is recorded
    └── Unsigned                a webhook's signature is missing or wrong: refused, and the sender learns why

Each message states the event, the fate of the data, and the remedy.
"""

_LONGEST_DETAIL = 2_000


class UpshotError(Exception):
    """The root: a handler of UpshotError catches everything raised by Upshot on purpose."""


class ConfigurationError(UpshotError):
    """A setting is missing or wrong; fatal: nothing was started."""


class InvalidEvent(UpshotError):
    """Bytes do not parse or do not validate; dead-lettered, never retried.

    `reason` is a stable code (see `upshot.schemas.dead_letters.Reason`), `detail` a sentence for people: cut
    where much of the event is repeated, and always writable text, whatever the event holds.
    """

    def __init__(self, reason: str, detail: str) -> None:
        detail = detail[:_LONGEST_DETAIL].encode("utf-8", "replace").decode()
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


class Unavailable(UpshotError):
    """A component does not answer; the work is retried with backoff and nothing is lost."""


class KafkaUnavailable(Unavailable):
    """No broker answers at the Kafka URL; retried with backoff."""


class ClickHouseUnavailable(Unavailable):
    """ClickHouse does not answer or refuses the connection; retried with backoff."""


class Misuse(UpshotError):
    """A call of the SDK can't work; nothing was recorded, the message names the correct call."""


class StepFailed(UpshotError):
    """A step of a follow-up raised; the message has the reason, `__cause__` the error if raised just now.

    Code catching StepFailed and going on will find the same step failed each time. Where nothing catches it,
    the follow-up is retried later: this step runs anew, successful steps don't.
    """


class SpoolFull(UpshotError):
    """A fact could not be spooled for Kafka; this fact is not recorded, facts spooled before are safe."""


class PartFailed(UpshotError):
    """A component of the local stack could not be started or kept alive; fatal, its log has the reason."""


class UnitFailed(UpshotError):
    """A worker's unit of work failed; fatal for the process: a restart repeats the unit, nothing is lost."""


class QueryFailed(UpshotError):
    """ClickHouse refused a query; fatal for this query, the data is untouched."""


class ReplayRefused(UpshotError):
    """A run can't be replayed, or not any further; the recorded run is untouched, no other system was told.

    `so_far` is the `upshot.replays.Replayed` of the steps until then, None where there were none.
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
    """A webhook's signature is missing, wrong or too old; nothing is taken, the sender learns why."""


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
