"""Receivers come from the settings alone: wrong ones are refused with a sentence, secrets never shown."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.receivers.made import OTHER_SECRET, ROUTING_KEY, SECRET, configured, settings_of
from upshot.errors import ConfigurationError
from upshot.receivers.configured import read_receivers
from upshot.settings import Settings, load_settings

HOOK = {"kind": "webhook", "url": "https://example.com/hook", "secret": SECRET}
MAIL = {"kind": "email", "host": "mail", "sender": "upshot@acme.com", "to": "ops@acme.com"}
PAGER = {"kind": "pagerduty", "routing_key": ROUTING_KEY}


def test_every_kind_is_read() -> None:
    found = configured(
        hook=HOOK,
        both={**HOOK, "secret": [SECRET, OTHER_SECRET]},
        chat={"kind": "slack", "url": "https://hooks.slack.com/services/T/B/x"},
        page=PAGER,
        am={"kind": "alertmanager", "url": "https://alerts.acme.com"},
        mail=MAIL,
    )
    assert set(found.by_name) == {"hook", "both", "chat", "page", "am", "mail"}
    assert [name for name, one in found.by_name.items() if one.groups_itself] == ["am"]


@pytest.mark.parametrize(
    ("name", "declared", "sentence"),
    [
        ("a", {**HOOK, "secret": "s3cret-s3cret"}, "whsec_ and 24 to 64 random bytes in base64"),
        ("a", {**HOOK, "secret": "whsec_c2hvcnQ="}, "24 to 64 random bytes"),
        ("a", {**HOOK, "secret": SECRET[:-1] + "!"}, "24 to 64 random bytes"),
        ("a", {**HOOK, "secret": []}, "secret"),
        ("a", {"kind": "webhook", "url": "https://example.com"}, "secret is missing"),
        ("a", {**HOOK, "url": "http://example.com"}, "isn't https at port 443"),
        ("a", {**HOOK, "url": "https://10.0.0.1"}, "10.0.0.1 is no public address"),
        ("a", {**HOOK, "colour": "red"}, "colour is no setting of this kind"),
        ("a", {**HOOK, "kind": "pigeon"}, "unknown kind: write webhook, slack"),
        ("a", {"url": "https://example.com"}, "has no kind"),
        ("a", "https://example.com", "is no object"),
        ("a", {**PAGER, "routing_key": "short-key"}, "is no integration key of PagerDuty"),
        ("a", {**MAIL, "to": "Ops <ops@acme.com>"}, "no plain e-mail address"),
        ("a", {**MAIL, "sender": "x@y\r\nBcc: z@z"}, "no plain e-mail address"),
        ("a", {**HOOK, "most_per_hour": 0}, "most_per_hour"),
        ("a b", HOOK, "a receiver's name has letters"),
    ],
)
def test_a_wrong_receiver_is_refused_with_a_sentence(name: str, declared: Any, sentence: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        configured("", **{name: declared})
    assert sentence in str(refused.value)
    for secret in ("s3cret", "short-key", SECRET[6:20]):
        assert secret not in str(refused.value)


def test_all_wrong_receivers_are_named_together() -> None:
    with pytest.raises(ConfigurationError) as refused:
        configured(a={**HOOK, "kind": "x"}, b=MAIL, c={"kind": "slack"})
    assert "a: " in str(refused.value) and "c: url is missing" in str(refused.value)


@pytest.mark.parametrize("text", ["[]", "{", "ops", '"x"'])
def test_a_setting_that_is_no_object_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError, match="UPSHOT_RECEIVERS is no JSON object"):
        read_receivers(load_settings({"UPSHOT_RECEIVERS": text}))


def test_a_file_gives_further_receivers(tmp_path: Path) -> None:
    toml = tmp_path / "receivers.toml"
    toml.write_text('[ops]\nkind = "slack"\nurl = "https://hooks.slack.com/x"\n')
    settings = load_settings({"UPSHOT_RECEIVERS_FILE": str(toml)})
    assert set(read_receivers(settings).by_name) == {"ops"}
    for file, content in (("none.json", None), ("bad.json", "{"), ("bad.toml", "x ="), ("list.json", "[]")):
        if content is not None:
            (tmp_path / file).write_text(content)
        with pytest.raises(ConfigurationError, match="UPSHOT_RECEIVERS_FILE"):
            read_receivers(Settings(receivers_file=tmp_path / file))


def test_no_secret_shows() -> None:
    settings = settings_of(hook=HOOK, page=PAGER)
    shown = repr(settings) + str(settings) + settings.model_dump_json() + repr(read_receivers(settings))
    assert SECRET[6:] not in shown
    assert ROUTING_KEY not in shown
    assert "example.com/hook" not in shown


def test_an_unknown_receiver_is_named_beside_the_known() -> None:
    with pytest.raises(ConfigurationError, match="no receiver is called 'osp': there are hook"):
        configured(hook=HOOK).named("osp")


def test_a_fingerprint_tells_addresses_apart_and_holds_nothing_of_them() -> None:
    found = configured(a=HOOK, b={**HOOK, "url": "https://example.com/hook#2"}, c={**HOOK, "concurrency": 2})
    a, b, c = (found.named(name).fingerprint for name in "abc")
    assert a != b and a == c
