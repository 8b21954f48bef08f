"""Subjects that are spelled differently and mean the same."""

from __future__ import annotations

import re
from unicodedata import normalize

#: GitHub's names make no difference between letter cases; what follows the name may.
_GITHUB = re.compile(r"(?:pr|issue|commit|repo|branch):[A-Za-z0-9_.-]+/[A-Za-z0-9_.-]+(?=[#@]|$)")
_PREFIXES = ("pr:", "issue:", "commit:", "repo:", "branch:")


def folded(subject: str) -> str:
    """The one spelling under which a subject is joined.

    Unicode's composed form (NFC), and a repository's name at GitHub in lower case: `pr:Acme/Web#12` is `pr:acme/web#12`.
    """
    if not subject.isascii():
        subject = normalize("NFC", subject)
    if subject.startswith(_PREFIXES) and (found := _GITHUB.match(subject)):
        return found[0].lower() + subject[found.end() :]
    return subject


__all__ = ["folded"]
