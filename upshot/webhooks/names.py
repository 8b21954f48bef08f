"""Repositories with changing names, and issues moved to other repositories: the known names of each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from upshot.schemas.subjects import folded
from upshot.webhooks.github import earlier_name

_REPOSITORY = "github:repository:"
_ISSUE = "github:issue:"
#: Where a webhook names the other place of a moved issue: the event of the old place, and of the new place.
_MOVES = (("new_repository", "new_issue"), ("old_repository", "old_issue"))


class Issue(NamedTuple):
    """An issue by the id of its repository, which stays, and its number there."""

    repository: str
    number: int

    @property
    def key(self) -> str:
        """The issue's name on the topic `names`."""
        return f"{_ISSUE}{self.repository.removeprefix(_REPOSITORY)}#{self.number}"


class Named(NamedTuple):
    """The object of a webhook, by the provider's id: its present name, and the name before, if given.

    `issue` is the webhook's issue, `moved` the issue's other place with that place's repository, where the
    webhook reports a move.
    """

    id: str
    name: str
    before: str | None = None
    issue: Issue | None = None
    moved: tuple[Issue, str] | None = None


def repository_named(payload: Any) -> Named | None:
    """The repository of a webhook of GitHub's; None where there is none, or no id."""
    repository = payload.get("repository") if isinstance(payload, dict) else None
    ident = _identified(repository)
    if ident is None:
        return None
    named = Named(*ident, earlier_name(payload))
    issue = _issue_of(ident[0], payload.get("issue"))
    return named if issue is None else named._replace(issue=issue, moved=_moved(payload.get("changes")))


def _identified(repository: Any) -> tuple[str, str] | None:
    """Id and name of a repository in a payload."""
    if not isinstance(repository, dict):
        return None
    ident, name = repository.get("id"), repository.get("full_name")
    if isinstance(ident, bool) or not isinstance(ident, int) or not isinstance(name, str) or not name:
        return None
    return f"{_REPOSITORY}{ident}", name


def _issue_of(repository: str, issue: Any) -> Issue | None:
    number = issue.get("number") if isinstance(issue, dict) and "pull_request" not in issue else None
    return Issue(repository, number) if isinstance(number, int) and not isinstance(number, bool) else None


def _moved(changes: Any) -> tuple[Issue, str] | None:
    """The other place of an issue moved by this event; None for other events."""
    for repository, issue in _MOVES if isinstance(changes, dict) else ():
        ident = _identified(changes.get(repository))
        other = ident and _issue_of(ident[0], changes.get(issue))
        if ident and other:
            return other, ident[1]
    return None


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
        return found | self._moves(named, prefix)

    def _moves(self, named: Named, prefix: str) -> dict[str, str]:
        """The records of a moved issue: both its places belong to one thing, and so do earlier places."""
        if named.issue is None or named.moved is None:
            return {}
        other, repository = named.moved
        keys = named.issue.key, other.key
        owners = [owner for key in keys if (owner := self._owners.get(key)) is not None]
        thing = min(owners, default=f"{_ISSUE}{min(keys).removeprefix(_ISSUE)}")
        places = {key for key, owner in self._owners.items() if owner in owners}
        found = {key: thing for key in sorted({*keys, *places}) if self._owners.get(key) != thing}
        if prefix + repository.lower() not in self._owners:
            found[prefix + repository.lower()] = other.repository
        return found

    def others(self, named: Named, prefix: str = "github:") -> Sequence[str]:
        """The other names of the same thing, past and present, sorted."""
        mine = {name.removeprefix(prefix) for name, owner in self._owners.items() if owner == named.id}
        before = {named.before.lower()} if named.before else set()
        return sorted((mine | before) - {named.name.lower()})

    def elsewhere(self, named: Named, prefix: str = "github:") -> Sequence[str]:
        """The webhook's issue at its other places, as `owner/name#number`, by all names of these, sorted."""
        if named.issue is None:
            return []
        owners = {**self._owners, **self.news(named, prefix)}
        thing = owners.get(named.issue.key)
        if thing is None:
            return []
        places = [key for key, owner in owners.items() if owner == thing and key != named.issue.key]
        found: list[str] = []
        for place in places:
            repository, _, number = place.removeprefix(_ISSUE).partition("#")
            names = [name for name, owner in owners.items() if owner == f"{_REPOSITORY}{repository}"]
            found += [f"{name.removeprefix(prefix)}#{number}" for name in names]
        return sorted(found)


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


def under_all_other_names(
    outcome: bytes, named: Named, others: Sequence[str], elsewhere: Sequence[str]
) -> list[bytes]:
    """The same outcome under other names of the repository, and of its issue at other places."""
    found = under_other_names(outcome, named.name, others)
    if named.issue is not None and elsewhere:
        found += under_other_names(outcome, f"{named.name}#{named.issue.number}", elsewhere)
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


__all__ = ["Issue", "Named", "Names", "repository_named", "under_all_other_names", "under_other_names"]
