"""Repositories with changing names: the known names of each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from upshot.schemas.subjects import folded
from upshot.webhooks.github import earlier_name


class Named(NamedTuple):
    """The object of a webhook, by the provider's id: its present name, and the name before, if given."""

    id: str
    name: str
    before: str | None = None


def repository_named(payload: Any) -> Named | None:
    """The repository of a webhook of GitHub's; None where there is none, or no id."""
    repository = payload.get("repository") if isinstance(payload, dict) else None
    if not isinstance(repository, dict):
        return None
    ident, name = repository.get("id"), repository.get("full_name")
    if isinstance(ident, bool) or not isinstance(ident, int) or not isinstance(name, str) or not name:
        return None
    return Named(f"github:repository:{ident}", name, earlier_name(payload))


class Names:
    """The names of each thing, past and present; a name given to another thing belongs to the other thing.

    Names are compared without letter case.
    """

    def __init__(self) -> None:
        self._owners: dict[str, str] = {}

    def learn(self, name: str, ident: str) -> None:
        """The latest record of a name."""
        self._owners[name.lower()] = ident

    def news(self, named: Named, prefix: str = "github:") -> Mapping[str, str]:
        """The records to write because of a webhook: names, with their owners."""
        found: dict[str, str] = {}
        if named.before and prefix + named.before.lower() not in self._owners:
            found[prefix + named.before.lower()] = named.id
        if self._owners.get(prefix + named.name.lower()) != named.id:
            found[prefix + named.name.lower()] = named.id
        return found

    def others(self, named: Named, prefix: str = "github:") -> Sequence[str]:
        """The other names of the same thing, past and present, sorted."""
        mine = {name.removeprefix(prefix) for name, owner in self._owners.items() if owner == named.id}
        before = {named.before.lower()} if named.before else set()
        return sorted((mine | before) - {named.name.lower()})


def under_other_names(outcome: bytes, name: str, others: Sequence[str]) -> list[bytes]:
    """The same outcome under the thing's other names; none where the subject doesn't hold the name."""
    event = msgspec.json.decode(outcome)
    subject = event["subject"]
    if not isinstance(subject, str):
        return []
    subjects = [_renamed(subject, name, other) for other in others]
    known = {folded(subject)}
    found: list[bytes] = []
    for renamed in subjects:
        if folded(renamed) not in known:
            known.add(folded(renamed))
            found.append(msgspec.json.encode({**event, "subject": renamed}))
    return found


#: Characters that a name of a repository may hold: next to one of these the name is another one.
_OF_A_NAME = frozenset("-./_")


def _renamed(subject: str, name: str, other: str) -> str:
    """`subject` with `other` wherever it has `name` as a whole, whatever the letter case."""
    left, sought, length = subject, name.lower(), len(name)
    parts: list[str] = []
    while len(left.lower()) == len(left) and (at := left.lower().find(sought)) >= 0:
        before = parts[-1][-1:] if not at and parts else left[at - 1 : at]
        alone = not (_is_of_a_name(before) or _is_of_a_name(left[at + length : at + length + 1]))
        parts.append(left[:at] + (other if alone else left[at : at + length]))
        left = left[at + length :]
    return "".join((*parts, left))


def _is_of_a_name(character: str) -> bool:
    return character.isalnum() or character in _OF_A_NAME if character else False


__all__ = ["Named", "Names", "repository_named", "under_other_names"]
