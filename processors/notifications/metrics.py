"""The metrics of the role, read from counts that the role has anyway."""

from __future__ import annotations

from collections import Counter
from typing import get_args

from upshot.processors.notifications.posts import Posts
from upshot.schemas.notices import NoticeStatus
from upshot.streams.metrics.instruments import Instruments, watch_dead_letters


def watch_notices(
    instruments: Instruments, counts: Counter[str], dead_letters: Counter[str], posts: Posts
) -> None:
    """Measure notices from now on."""
    instruments.watch_counts("upshot.notices", counts, (*get_args(NoticeStatus), "forwarded"))
    instruments.watch(
        "upshot.notices.posts", lambda: [(count, *names) for names, count in list(posts.counts.items())]
    )
    instruments.watch(
        "upshot.notices.waiting", lambda: [(count, name) for name, count in posts.waiting().items()]
    )
    instruments.watch(
        "upshot.notices.failing", lambda: [(count, name) for name, count in posts.failing().items()]
    )
    watch_dead_letters(instruments, dead_letters)


__all__ = ["watch_notices"]
