"""Every exception that Upshot raises on purpose.

    UpshotError
    ├── ConfigurationError      a setting is missing or wrong: nothing was done, fix it and start again
    ├── InvalidEvent            bytes do not parse or validate: dead-lettered, never retried
    ├── Unavailable             a part does not answer: retried with backoff, nothing is lost
    │   ├── KafkaUnavailable
    │   └── ClickHouseUnavailable
    ├── PartFailed              a local part (Kafka, ClickHouse, worker) could not be started: fatal
    ├── UnitFailed              a worker's unit of work failed: nothing of it is committed, it is done again
    └── QueryFailed             ClickHouse refused a query: fatal for that query only

Each message says what happened, what becomes of the data, and what to do.
"""


class UpshotError(Exception):
    """The root: catch it to catch all that Upshot raises on purpose."""


class ConfigurationError(UpshotError):
    """A setting is missing or wrong; fatal: nothing was started."""


class InvalidEvent(UpshotError):
    """Bytes do not parse or do not validate; dead-lettered, never retried.

    `reason` is a stable code (see `upshot.schemas.dead_letters.Reason`), `detail` a sentence for people.
    """

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


class Unavailable(UpshotError):
    """A part does not answer; the work is retried with backoff and nothing is lost."""


class KafkaUnavailable(Unavailable):
    """No broker answers at the Kafka URL; retried with backoff."""


class ClickHouseUnavailable(Unavailable):
    """ClickHouse does not answer or refuses the connection; retried with backoff."""


class PartFailed(UpshotError):
    """A part of the local stack could not be started or kept alive; fatal, its log says why."""


class UnitFailed(UpshotError):
    """A worker's unit of work failed; fatal for the process: a restart does it again, nothing is lost."""


class QueryFailed(UpshotError):
    """ClickHouse refused a query; fatal for that query, the data is untouched."""


__all__ = [
    "ClickHouseUnavailable",
    "ConfigurationError",
    "InvalidEvent",
    "KafkaUnavailable",
    "PartFailed",
    "QueryFailed",
    "Unavailable",
    "UnitFailed",
    "UpshotError",
]
