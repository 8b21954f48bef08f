"""The metrics of the role `notifications`; part of `declared`."""

from __future__ import annotations

from upshot.streams.metrics.metric import Metric

NOTICES = (
    Metric(
        "upshot.notices",
        "counter",
        "{notice}",
        "Changes of notices: `pending`, `sent`, `retrying`, `dropped`, `failed`; `forwarded` to their "
        "receiver's partition.",
        ("status",),
        when="role notifications",
    ),
    Metric(
        "upshot.notices.posts",
        "counter",
        "{post}",
        "Posts by their result: `accepted`, `failed` and tried again, `rejected`, `switchedoff` by the "
        "receiver.",
        ("receiver", "result"),
        when="there were any (role notifications)",
    ),
    Metric(
        "upshot.notices.waiting",
        "gauge",
        "{post}",
        "Posts queued for a receiver, or under way.",
        ("receiver",),
        when="the receiver had any (role notifications)",
    ),
    Metric(
        "upshot.notices.failing",
        "gauge",
        "{post}",
        "Failed posts of a receiver since its last answer to one; 0 where it works.",
        ("receiver",),
        when="the receiver had any (role notifications)",
    ),
)

__all__ = ["NOTICES"]
