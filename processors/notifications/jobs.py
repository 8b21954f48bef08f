"""The posts of stored notices and digests."""

from __future__ import annotations

from upshot.processors.notifications.posts import PostJob
from upshot.processors.notifications.state import AlertDelivery, NoticeGroup, Stored, key_parts
from upshot.receivers.messages import AlertMessage


def is_posting(state: Stored | None) -> bool:
    """Whether a notice or digest is to be posted now, or being posted."""
    match state:
        case AlertDelivery(pending=pending) if pending is not None:
            return pending.status == "posting"
        case NoticeGroup(digest=digest) if digest is not None:
            return digest.status == "posting"
        case _:
            return False


def job_of(partition: int, key: bytes, state: Stored | None) -> PostJob | None:
    """The post of a stored notice or digest; None where there is nothing to post."""
    if not is_posting(state):
        return None
    if isinstance(state, NoticeGroup):
        assert state.digest is not None
        return PostJob(partition, key, key_parts(key)[0], state.digest.message)
    assert isinstance(state, AlertDelivery) and state.pending is not None
    update = state.pending.update
    message = AlertMessage(state.pending.notice_id, "alert", (update.summary,), 1, update.summary.raised_at)
    return PostJob(partition, key, update.receiver, message)


__all__ = ["is_posting", "job_of"]
