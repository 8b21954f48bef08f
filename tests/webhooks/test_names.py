"""A repository that is renamed keeps its id: outcomes go out under each name that it has had."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from upshot.webhooks.names import (
    Named,
    Names,
    repository_named,
    under_all_other_names,
    under_other_names,
)


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


def moved(number: int, repository: dict[str, Any], side: str, other: int, there: dict[str, Any]) -> Any:
    """A webhook of GitHub's for an issue moved: `new` from its old place, `old` from its new place."""
    changes = {f"{side}_issue": {"id": 1, "number": other}, f"{side}_repository": there}
    return {"issue": {"number": number}, "repository": repository, "changes": changes}


WEB: dict[str, Any] = {"id": 7, "full_name": "acme/web"}
API: dict[str, Any] = {"id": 8, "full_name": "acme/api"}
DOCS: dict[str, Any] = {"id": 9, "full_name": "acme/docs"}


def places(*payloads: dict[str, Any]) -> list[str]:
    """Known other places of the last one's issue, after all were told one after the other."""
    names = Names()
    found: list[str] = []
    for one in payloads:
        named = repository_named(one)
        assert named is not None
        found = list(names.elsewhere(named))
        for name, ident in names.news(named).items():
            names.learn(name, ident)
    return found


def about(number: int, repository: dict[str, Any]) -> dict[str, Any]:
    return {"issue": {"number": number}, "repository": repository}


GONE = moved(12, WEB, "new", 5, API)
CAME = moved(5, API, "old", 12, WEB)
ON = moved(5, API, "new", 3, DOCS)
OVER = moved(3, DOCS, "old", 5, API)


@pytest.mark.parametrize(
    ("payloads", "others"),
    [
        ([GONE], ["acme/api#5"]),
        ([CAME], ["acme/web#12"]),
        ([GONE, about(5, API)], ["acme/web#12"]),
        ([CAME, GONE, about(5, API)], ["acme/web#12"]),
        ([GONE, about(6, API)], []),
        ([GONE, ON, about(3, DOCS)], ["acme/api#5", "acme/web#12"]),
        ([ON, GONE, about(3, DOCS)], ["acme/api#5", "acme/web#12"]),
        ([OVER, CAME, about(12, WEB)], ["acme/api#5", "acme/docs#3"]),
        ([GONE, payload("acme/site", repository={"name": {"from": "web"}}), about(5, API)],
         ["acme/site#12", "acme/web#12"]),
        ([GONE, about(5, API | {"full_name": "acme/service"})], ["acme/web#12"]),
        ([GONE, {"pull_request": {"number": 5}, "repository": API}], []),
        ([GONE | {"changes": {"new_issue": None, "new_repository": []}}, about(5, API)], []),
    ],
)  # fmt: skip
def test_the_other_places_of_an_issue(payloads: list[dict[str, Any]], others: list[str]) -> None:
    assert places(*payloads) == others


def test_chains_of_moves_told_in_any_order_are_one_thing() -> None:
    far = moved(3, DOCS, "new", 44, {"id": 10, "full_name": "acme/end"})
    for told in ([GONE, ON, far], [far, GONE, ON], [GONE, far, ON], [ON, far, GONE], [far, ON, GONE]):
        assert places(*told, about(12, WEB)) == ["acme/api#5", "acme/docs#3", "acme/end#44"]


def test_an_outcome_about_a_moved_issue_under_all_its_names() -> None:
    named = repository_named(about(5, API))
    assert named is not None
    outcome = msgspec.json.encode({"id": "d-1", "subject": "issue:acme/api#5"})
    also = under_all_other_names(outcome, named, ["acme/back"], ["acme/web#12"])
    assert [msgspec.json.decode(one)["subject"] for one in also] == [
        "issue:acme/back#5",
        "issue:acme/web#12",
    ]
    comment = msgspec.json.encode({"id": "d-1", "subject": "issue:acme/api#55"})
    assert under_all_other_names(comment, named, [], ["acme/web#12"]) == []
