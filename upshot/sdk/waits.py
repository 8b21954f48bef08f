"""The id of an opened wait, with the wait's subject: enough to cancel the wait."""

from __future__ import annotations

from upshot.errors import Misuse


class WaitId(str):
    """A wait's id, a text like any other; `subject` is the wait's subject."""

    __slots__ = ("subject",)
    subject: str

    def __new__(cls, wait_id: str, subject: str) -> WaitId:
        """The id of a wait about `subject`."""
        made = super().__new__(cls, wait_id)
        made.subject = subject
        return made


def subject_of(wait_id: str, subject: str | None) -> str:
    """The subject of a wait. Raises Misuse where neither the id nor the caller knows the subject."""
    known = wait_id.subject if isinstance(wait_id, WaitId) else None
    if subject is None and known is None:
        raise Misuse(
            f"a wait is cancelled by its id and its subject: write cancel_wait({wait_id!r:.60}, "
            "subject='ticket:7'), or hand over what run.wait gave"
        )
    return subject or known or ""


__all__ = ["WaitId", "subject_of"]
