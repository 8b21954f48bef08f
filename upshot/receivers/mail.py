"""Messages by mail, over SMTP. Blocking: to be called in a thread."""

from __future__ import annotations

import smtplib
import ssl
from datetime import datetime
from email.message import EmailMessage
from email.utils import format_datetime
from pathlib import Path

from upshot.receivers.kinds import EmailSettings
from upshot.receivers.messages import AlertMessage, one_line, plain_body, title
from upshot.receivers.results import Accepted, Failed, PostResult, Rejected

#: Seconds for each answer of the mail server.
_TIMEOUT = 15.0


def mail_of(receiver: EmailSettings, message: AlertMessage, now: datetime) -> EmailMessage:
    """The mail: its id is made from the notice, so that a repeated one is known to be the same."""
    mail = EmailMessage()
    mail["Subject"] = one_line(title(message), 200)
    mail["From"] = receiver.sender
    mail["To"] = ", ".join(receiver.to)
    mail["Date"] = format_datetime(now)
    mail["Message-ID"] = f"<{message.notice_id}@{receiver.sender.partition('@')[2]}>"
    mail["Auto-Submitted"] = "auto-generated"
    mail.set_content(plain_body(message))
    return mail


def send_mail(
    receiver: EmailSettings, message: AlertMessage, now: datetime, cafile: Path | None = None
) -> PostResult:
    """Hand the mail to the server."""
    mail = mail_of(receiver, message, now)
    handed_over = False
    try:
        with _connection(receiver, cafile) as server:
            if receiver.username:
                server.login(receiver.username, receiver.password.get_secret_value())
            handed_over = True
            refused = server.send_message(mail)
    except (smtplib.SMTPException, OSError) as error:
        return _result_of(error, handed_over)
    note = f"refused for {', '.join(sorted(refused))}" if refused else ""
    return Accepted(250, note)


def _connection(receiver: EmailSettings, cafile: Path | None) -> smtplib.SMTP:
    if receiver.tls == "none":
        return smtplib.SMTP(receiver.host, receiver.port, timeout=_TIMEOUT)
    context = ssl.create_default_context(cafile=None if cafile is None else str(cafile))
    if receiver.tls == "tls":
        return smtplib.SMTP_SSL(receiver.host, receiver.port, timeout=_TIMEOUT, context=context)
    server = smtplib.SMTP(receiver.host, receiver.port, timeout=_TIMEOUT)
    try:
        server.starttls(context=context)
    except BaseException:
        server.close()
        raise
    return server


def _result_of(error: Exception, handed_over: bool) -> PostResult:
    match error:
        case smtplib.SMTPRecipientsRefused():
            codes = [code for code, _ in error.recipients.values()]
            answers = "; ".join(f"{to}: {code} {_text(why)}" for to, (code, why) in error.recipients.items())
            stated = one_line(f"refused every recipient: {answers}", 500)
            return Rejected(stated, max(codes)) if min(codes) >= 500 else Failed(stated, min(codes))
        case smtplib.SMTPAuthenticationError():
            return Failed(f"refused the login: {error.smtp_code} {_text(error.smtp_error)}", error.smtp_code)
        case smtplib.SMTPResponseException():
            stated = f"answered {error.smtp_code} {_text(error.smtp_error)}"
            permanent = error.smtp_code >= 500 and handed_over
            return Rejected(stated, error.smtp_code) if permanent else Failed(stated, error.smtp_code)
        case ssl.SSLCertVerificationError():
            return Failed(f"has a certificate that doesn't fit: {error.verify_message}")
        case TimeoutError():
            return Failed("did not answer in time", uncertain=handed_over)
        case smtplib.SMTPNotSupportedError():
            return Failed("offers no TLS or no login: set tls, port or username as the server has them")
        case _:
            stated = one_line(str(error), 200) or type(error).__name__
            return Failed(f"is not reached: {stated}", uncertain=handed_over)


def _text(answer: bytes | str) -> str:
    return one_line(answer.decode("utf-8", "replace") if isinstance(answer, bytes) else answer, 200)


__all__ = ["mail_of", "send_mail"]
