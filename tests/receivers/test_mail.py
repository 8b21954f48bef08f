"""Mail, handed to a real server on this machine."""

from __future__ import annotations

import asyncio
import email
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from email import policy
from pathlib import Path
from typing import Any

import pytest
import trustme
from aiosmtpd.controller import Controller

from tests.receivers.made import configured, digest, message, settings_of
from upshot.receivers.configured import Receivers, read_receivers
from upshot.receivers.messages import AlertMessage
from upshot.receivers.posting import Poster
from upshot.receivers.results import Accepted, Failed, PostResult, Rejected

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)


class _Inbox:
    """Takes mail, and answers as it is told."""

    def __init__(self) -> None:
        self.mails: list[Any] = []
        self.answer = "250 OK"
        self.refused: set[str] = set()

    async def handle_RCPT(self, server: Any, session: Any, envelope: Any, to: str, options: Any) -> str:
        if to in self.refused:
            return "550 no such user"
        envelope.rcpt_tos.append(to)
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        if self.answer.startswith("250"):
            self.mails.append(email.message_from_bytes(envelope.content, policy=policy.default))
        return self.answer


class _FreePort(Controller):
    """At a port that is free."""

    def _trigger_server(self) -> None:
        self.port = self.server.sockets[0].getsockname()[1]
        super()._trigger_server()


@contextmanager
def _mail_server(inbox: _Inbox, **options: Any) -> Iterator[int]:
    controller = _FreePort(inbox, hostname="127.0.0.1", port=0, **options)
    controller.start()
    try:
        yield controller.port
    finally:
        controller.stop()


def _mail(port: int, **more: Any) -> dict[str, Any]:
    plain = {"kind": "email", "host": "127.0.0.1", "port": port, "tls": "none", "sender": "upshot@acme.com"}
    return {**plain, "to": ["ops@acme.com", "dev@acme.com"], **more}


async def _sent(receivers: Receivers, about: AlertMessage | None = None) -> PostResult:
    poster = Poster(receivers)
    try:
        return await poster.post(receivers.named("mail"), about or message(), NOW)
    finally:
        await poster.disconnect()


async def test_a_mail_is_handed_over() -> None:
    inbox = _Inbox()
    with _mail_server(inbox) as port:
        odd = message(message="Zeile 1\r\nBcc: x@y.z\r\nüöä", name="a\nb")
        assert await _sent(configured(mail=_mail(port)), odd) == Accepted(250)
        assert await _sent(configured(mail=_mail(port)), digest(30)) == Accepted(250)
    single, many = inbox.mails
    assert single["Message-ID"] == "<notice-firing@acme.com>"
    assert single["To"] == "ops@acme.com, dev@acme.com"
    assert single["Bcc"] is None
    assert single["Subject"].startswith("[FIRING] a b (agent=support, tier=paying): Zeile 1 Bcc: x@y.z")
    assert "run: r1" in single.get_content()
    assert many["Subject"] == "30 alerts: ticket reopened"


async def test_answers_of_the_server_have_their_fates() -> None:
    inbox = _Inbox()
    with _mail_server(inbox) as port:
        receivers = configured(mail=_mail(port))
        inbox.refused = {"dev@acme.com"}
        assert await _sent(receivers) == Accepted(250, "refused for dev@acme.com")
        inbox.refused = {"dev@acme.com", "ops@acme.com"}
        refused = await _sent(receivers)
        assert isinstance(refused, Rejected) and "550 no such user" in refused.error
        inbox.refused = set()
        inbox.answer = "451 later"
        assert await _sent(receivers) == Failed("answered 451 later", 451)
        inbox.answer = "554 spam"
        assert await _sent(receivers) == Rejected("answered 554 spam", 554)
        login = await _sent(configured(mail=_mail(port, username="u", password="p4ssw0rd")))
        assert isinstance(login, Failed) and "p4ssw0rd" not in login.error
        starttls = await _sent(configured(mail=_mail(port, tls="starttls")))
        assert isinstance(starttls, Failed) and "offers no TLS" in starttls.error
    away = await _sent(receivers)
    assert isinstance(away, Failed) and away.error.startswith("is not reached") and not away.uncertain


@pytest.mark.parametrize("tls", ["tls", "starttls"])
async def test_the_certificate_of_the_server_must_fit(tls: str, tmp_path: Path) -> None:
    authority = trustme.CA()
    cafile = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(cafile))
    for name, accepted in (("localhost", True), ("elsewhere.example", False)):
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        authority.issue_cert(name).configure_cert(context)
        options = {"ssl_context" if tls == "tls" else "tls_context": context}
        inbox = _Inbox()
        with _mail_server(inbox, **options) as port:
            settings = settings_of(mail=_mail(port, tls=tls, host="localhost"))
            receivers = read_receivers(settings.model_copy(update={"receiver_cafile": cafile}))
            result = await _sent(receivers)
            await asyncio.sleep(0)
        assert isinstance(result, Accepted) == accepted == bool(inbox.mails), result
        if isinstance(result, Failed):
            assert "certificate that doesn't fit" in result.error
