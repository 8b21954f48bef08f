"""Subjects that are spelled differently and mean the same."""

from __future__ import annotations

import re
from unicodedata import normalize

#: The names of repositories make no difference between letter cases; what follows the name may.
_REPOSITORY = re.compile(r"(?:pr|issue|commit|repo|branch):[^/#@\s]+/[^/#@\s]+(?=[#@]|$)")
_PREFIXES = ("pr:", "issue:", "commit:", "repo:", "branch:")


def folded(subject: str) -> str:
    """The one spelling under which a subject is joined.

    Subjects are compared letter by letter, but for those that name a repository as our webhooks do: its name is in
    lower case, in Unicode's composed form (NFC). `pr:Acme/Web#12` is `pr:acme/web#12`.
    """
    if subject.startswith(_PREFIXES) and (found := _REPOSITORY.match(subject)):
        return normalize("NFC", found[0].lower()) + subject[found.end() :]
    return subject


__all__ = ["folded"]
