"""Subjects with different spellings and one meaning."""

from __future__ import annotations

import re
from unicodedata import normalize

#: The names of repositories make no difference between letter cases; what follows the name may.
_PART = re.compile(r"[^/#@\s]++")
_PREFIXES = ("pr:", "issue:", "commit:", "repo:", "branch:")


def folded(subject: str) -> str:
    """The one spelling under which a subject is joined.

    Subjects are compared letter by letter, except for subjects naming a repository as Upshot's webhooks do:
    the repository's name is in lower case, in Unicode's composed form (NFC). `pr:Acme/Web#12` is
    `pr:acme/web#12`.
    """
    if subject.isascii() and subject.islower():  # nearly every subject
        return subject
    if subject.startswith(_PREFIXES) and (end := _end_of_name(subject)):
        return normalize("NFC", subject[:end].lower()) + subject[end:]
    return subject


def _end_of_name(subject: str) -> int:
    """Where the name of a repository, `owner/name`, ends; 0 where the subject has none."""
    owner = _PART.match(subject, subject.index(":") + 1)
    if owner is None or subject[owner.end() : owner.end() + 1] != "/":
        return 0
    name = _PART.match(subject, owner.end() + 1)
    if name is None or subject[name.end() : name.end() + 1] not in ("", "#", "@"):
        return 0
    return name.end()


__all__ = ["folded"]
