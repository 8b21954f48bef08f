"""The page on topics."""

from __future__ import annotations

from datetime import timedelta

from tools.reference.markdown import page, table
from upshot.settings import Settings
from upshot.streams.events.topics import TOPICS, Topic

_INTRO = """Every topic is declared once, in `streams/events/topics.py`, and created by `upshot migrate`,
by a worker or by `upshot up` if missing. Existing topics stay unchanged. The names begin with the setting
`UPSHOT_TOPIC_PREFIX` ({prefix}). Topics kept by time get `UPSHOT_PARTITIONS` ({partitions}) partitions,
compacted ones get one; `UPSHOT_REPLICATION_FACTOR` ({replicas}) holds for all."""


def topics_page() -> str:
    """The page."""
    defaults = Settings()
    intro = _INTRO.format(
        prefix=f"`{defaults.topic_prefix}`",
        partitions=defaults.partitions,
        replicas=defaults.replication_factor,
    )
    heads = ("topic", "what it holds", "key", "event", "written by", "read by", "kept", "largest record")
    return page("Topics", intro, table(heads, map(_row, TOPICS.values())))


def _row(topic: Topic) -> tuple[str, ...]:
    event = topic.schema.__name__
    return (
        f"`{topic.name}`",
        topic.purpose,
        f"`{topic.key}`" if topic.key else "any",
        f"[{event}](events.md#{event.lower()})",
        ", ".join(topic.producers),
        ", ".join(topic.consumers),
        _cached(topic),
        f"{topic.max_bytes // 2**20} MiB",
    )


def _cached(topic: Topic) -> str:
    if topic.cleanup == "compact":
        return "the latest of each key"
    return "for ever" if topic.retention is None else f"{topic.retention // timedelta(days=1)} days"


__all__ = ["topics_page"]
