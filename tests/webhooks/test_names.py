"""A repository that is renamed keeps its id: outcomes go out under each name that it has had."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from upshot.webhooks.names import Named, Names, repository_named, under_other_names


def payload(name: str, ident: int = 7, **changes: Any) -> dict[str, Any]:
    said = {"repository": {"id": ident, "full_name": name}}
    return said | ({"changes": changes} if changes else {})


def seen(names: Names, *payloads: dict[str, Any]) -> list[str]:
    """What is known of the last one's other names, after all were told one after the other."""
    others: list[str] = []
    for one in payloads:
        named = repository_named(one)
        assert named is not None
        others = list(names.others(named))
        for name, ident in names.news(named).items():
            names.learn(name, ident)
    return others


RENAMED = payload("acme/website", repository={"name": {"from": "web"}})
GIVEN_AWAY = payload("new/website", owner={"from": {"user": {"login": "acme"}}})


@pytest.mark.parametrize(
    ("payloads", "others"),
    [
        ([RENAMED, payload("acme/website")], ["acme/web"]),
        ([RENAMED], ["acme/web"]),
        ([payload("acme/web"), payload("acme/website")], ["acme/web"]),
        ([RENAMED, GIVEN_AWAY, payload("new/website")], ["acme/web", "acme/website"]),
        ([payload("Acme/Web"), payload("acme/web")], []),
        ([RENAMED, payload("acme/web", 8), payload("acme/website")], []),
        ([payload("acme/web", 8), payload("acme/website")], []),
    ],
)
def test_the_names_of_a_repository(payloads: list[dict[str, Any]], others: list[str]) -> None:
    assert seen(Names(), *payloads) == others


def test_what_is_known_already_is_not_recorded_again() -> None:
    names = Names()
    seen(names, RENAMED)
    assert not names.news(Named("github:repository:7", "Acme/Website"))


@pytest.mark.parametrize("said", [[], {}, {"repository": None}, {"repository": {"full_name": "a/b"}}])
def test_without_an_id_nothing_is_remembered(said: Any) -> None:
    assert repository_named(said) is None


def test_an_outcome_under_its_other_names() -> None:
    outcome = msgspec.json.encode({"id": "d-1", "subject": "pr:Acme/Website#77"})
    also = [msgspec.json.decode(one) for one in under_other_names(outcome, "acme/website", ["acme/web"])]
    assert also == [{"id": "d-1", "subject": "pr:acme/web#77"}]
    assert under_other_names(b'{"subject": "change:77"}', "acme/website", ["acme/web"]) == []
    assert under_other_names(b'{"subject": "pr:acme/website2#7"}', "acme/website", ["acme/web"]) == []
