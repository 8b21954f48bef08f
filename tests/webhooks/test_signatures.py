"""Only what the provider signed comes in."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from tests.webhooks.signing import by_github, by_stripe, by_zendesk, hmac
from upshot.errors import Unsigned
from upshot.webhooks.providers import PROVIDERS
from upshot.webhooks.signatures import TOLERANCE, check_github, check_stripe, check_zendesk

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
BODY = b'{"id":"evt_1"}'
SIGNED = {
    "github": (check_github, by_github(BODY, "ping", secret="s1"), "X-Hub-Signature-256"),
    "stripe": (check_stripe, by_stripe(BODY, NOW, "s1"), "Stripe-Signature"),
    "zendesk": (check_zendesk, by_zendesk(BODY, NOW, "s1"), "X-Zendesk-Webhook-Signature"),
}
"""By provider: the check, the headers of BODY signed with s1, and the header with the signature."""


def test_the_example_of_githubs_documentation() -> None:
    said = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
    secret, body = "It's a Secret to Everybody", b"Hello, World!"
    check_github({"X-Hub-Signature-256": said}, body, [secret], NOW)
    assert hmac(secret.encode(), body).hex() == said.removeprefix("sha256=")


def test_every_provider_is_tried() -> None:
    assert SIGNED.keys() == PROVIDERS.keys()


@pytest.mark.parametrize("name", SIGNED)
def test_the_right_secret_opens_and_any_of_several(name: str) -> None:
    check, headers, _ = SIGNED[name]
    check(headers, BODY, ["s1"], NOW)
    check(headers, BODY, ["s0", "s1"], NOW)


@pytest.mark.parametrize("name", SIGNED)
def test_everything_else_is_refused_with_a_reason(name: str) -> None:
    check, headers, header = SIGNED[name]
    with pytest.raises(Unsigned, match=f"{header} is wrong"):
        check(headers, BODY + b" ", ["s1"], NOW)
    with pytest.raises(Unsigned, match=f"{header} is wrong"):
        check(headers, BODY, ["s2"], NOW)
    with pytest.raises(Unsigned, match=f"{header} is missing"):
        check({}, BODY, ["s1"], NOW)
    with pytest.raises(Unsigned):
        check(headers | {header: "ä"}, BODY, ["s1"], NOW)


@pytest.mark.parametrize("name", ["stripe", "zendesk"])
@pytest.mark.parametrize("off", [TOLERANCE + timedelta(seconds=1), -TOLERANCE - timedelta(seconds=1)])
def test_what_was_signed_long_ago_is_refused(name: str, off: timedelta) -> None:
    check, headers, _ = SIGNED[name]
    check(headers, BODY, ["s1"], NOW + TOLERANCE)
    with pytest.raises(Unsigned, match="5 minutes"):
        check(headers, BODY, ["s1"], NOW + off)


def test_the_time_is_signed_too() -> None:
    later = NOW + timedelta(hours=1)
    stripe = by_stripe(BODY, NOW, "s1")["Stripe-Signature"]
    moved = stripe.replace(f"t={int(NOW.timestamp())}", f"t={int(later.timestamp())}")
    with pytest.raises(Unsigned, match="is wrong"):
        check_stripe({"Stripe-Signature": moved}, BODY, ["s1"], later)
    zendesk = by_zendesk(BODY, NOW, "s1") | {
        "X-Zendesk-Webhook-Signature-Timestamp": by_zendesk(BODY, later)[
            "X-Zendesk-Webhook-Signature-Timestamp"
        ]
    }
    with pytest.raises(Unsigned, match="is wrong"):
        check_zendesk(zendesk, BODY, ["s1"], later)


@pytest.mark.parametrize(
    "said", ["v1=ab", "t=,v1=ab", "t=1e9,v1=ab", "t=1,t=2,v1=ab", "t=99999999999999,v1=a", "t=1"]
)
def test_stripes_time_must_be_one(said: str) -> None:
    with pytest.raises(Unsigned):
        check_stripe({"Stripe-Signature": said}, BODY, ["s1"], NOW)


def test_zendesks_time_must_be_one() -> None:
    headers = by_zendesk(BODY, NOW, "s1") | {"X-Zendesk-Webhook-Signature-Timestamp": "yesterday"}
    with pytest.raises(Unsigned, match="is no time"):
        check_zendesk(headers, BODY, ["s1"], NOW)
