"""Posts messages to receivers, each once: a try, never a retry."""

from __future__ import annotations

import asyncio
import ssl
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime

import aiohttp
from aiohttp.abc import AbstractResolver

from upshot.receivers.addresses import refused_url
from upshot.receivers.configured import Receivers
from upshot.receivers.hiding import hidden, secrets_of
from upshot.receivers.kinds import (
    AlertmanagerSettings,
    EmailSettings,
    HttpReceiverSettings,
    PagerDutySettings,
    ReceiverSettings,
    SlackSettings,
    WebhookSettings,
)
from upshot.receivers.mail import send_mail
from upshot.receivers.messages import AlertMessage, one_line
from upshot.receivers.requests import HttpRequest, http_request
from upshot.receivers.resolver import GuardedResolver, RefusedAddress
from upshot.receivers.results import Failed, HttpAnswer, PostResult, Rejected, judge_status
from upshot.version import __version__

#: Seconds for a whole request, its answer included.
TIMEOUT = 15.0
#: Bytes of an answer that are read; the connection is closed on the rest.
MOST_ANSWER_BYTES = 4_096
_MOST_CONNECTIONS = 256
_MAIL_THREADS = 8

#: Answers after which a message is not tried again.
_REJECTING = {
    SlackSettings: frozenset({400}),
    PagerDutySettings: frozenset({400}),
    AlertmanagerSettings: frozenset({400}),
    WebhookSettings: frozenset[int](),
}
#: Kinds whose 410 means that the address is no more.
_GOING = (WebhookSettings, SlackSettings)


class Poster:
    """Posts messages. To be used within one event loop.

    No redirect is followed, no proxy of the environment is used, no cookie is kept; an address is checked
    before and while it is called.
    """

    def __init__(
        self, receivers: Receivers, resolver: AbstractResolver | None = None, timeout: float = TIMEOUT
    ) -> None:
        self._receivers = receivers
        self._resolver = resolver
        self._timeout = aiohttp.ClientTimeout(total=timeout)
        self._session: aiohttp.ClientSession | None = None
        self._threads: ThreadPoolExecutor | None = None

    async def post(self, receiver: ReceiverSettings, message: AlertMessage, now: datetime) -> PostResult:
        """Post a message once. Raises nothing but a cancellation."""
        match receiver:
            case EmailSettings():
                loop = asyncio.get_running_loop()
                self._threads = self._threads or ThreadPoolExecutor(_MAIL_THREADS, "upshot-mail")
                cafile = self._receivers.cafile
                return await loop.run_in_executor(self._threads, send_mail, receiver, message, now, cafile)
            case HttpReceiverSettings():
                return await self._post(receiver, http_request(receiver, message, now), now)
            case _:
                raise TypeError(f"{type(receiver).__name__} is no receiver")

    async def disconnect(self) -> None:
        """End all connections; the next post opens others."""
        if self._threads is not None:
            self._threads.shutdown(wait=False, cancel_futures=True)
        session, self._session, self._threads = self._session, None, None
        if session is not None:
            await session.close()

    async def _post(self, receiver: HttpReceiverSettings, request: HttpRequest, now: datetime) -> PostResult:
        if why := refused_url(request.url, self._receivers.allowed):
            return Rejected(f"is not called: its url {why}")
        secrets = secrets_of(receiver)
        try:
            answer = await self._answer(request)
        except (aiohttp.ClientError, OSError, ValueError) as error:
            return _failure(error, secrets)
        # Hidden before the text is cut: half a secret would be none of those known.
        stated = hidden(answer.body.decode("utf-8", "replace"), secrets)
        answer = replace(answer, body=stated.encode("utf-8", "replace"))
        gone = isinstance(receiver, _GOING)
        return judge_status(answer, _REJECTING[type(receiver)], gone, now)

    async def _answer(self, request: HttpRequest) -> HttpAnswer:
        headers = {"user-agent": f"upshot/{__version__}", **request.headers}
        async with self._opened().post(
            request.url, data=request.body, headers=headers, allow_redirects=False
        ) as response:
            body = b""
            async for piece in response.content.iter_chunked(MOST_ANSWER_BYTES):
                body += piece
                if len(body) >= MOST_ANSWER_BYTES:
                    response.close()
                    break
            headers_read = response.headers
            return HttpAnswer(
                response.status,
                body[:MOST_ANSWER_BYTES],
                headers_read.get("retry-after"),
                headers_read.get("location"),
            )

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            cafile = self._receivers.cafile
            context = ssl.create_default_context()
            if cafile is not None:
                context.load_verify_locations(str(cafile))
            connector = aiohttp.TCPConnector(
                resolver=GuardedResolver(self._receivers.allowed, self._resolver),
                limit=_MOST_CONNECTIONS,
                ssl=context,
            )
            self._session = aiohttp.ClientSession(
                connector=connector,
                timeout=self._timeout,
                trust_env=False,
                auto_decompress=False,
                cookie_jar=aiohttp.DummyCookieJar(),
            )
        return self._session


def _failure(error: Exception, secrets: list[str]) -> PostResult:
    """The result where no answer came; the error's text may have the url."""
    text = hidden(error.message if isinstance(error, aiohttp.ClientResponseError) else str(error), secrets)
    refused = _cause(error, RefusedAddress)
    if refused is not None:
        return Failed(f"is not called: {refused}; put it into UPSHOT_RECEIVER_ALLOW if it is yours")
    match error:
        case aiohttp.InvalidURL():
            return Rejected("is not called: its url can't be read")
        case aiohttp.ClientConnectorCertificateError() | aiohttp.ClientConnectorSSLError():
            return Failed(f"has a certificate that doesn't fit: {one_line(text, 200)}")
        case aiohttp.ConnectionTimeoutError():
            return Failed("did not take the connection in time")
        case TimeoutError():
            return Failed("did not answer in time", uncertain=True)
        case aiohttp.ClientConnectorError():
            return Failed(f"is not reached: {one_line(text, 200)}")
        case _:
            stated = one_line(text, 200) or type(error).__name__
            return Failed(f"broke off: {stated}", uncertain=True)


def _cause(error: BaseException | None, kind: type[Exception]) -> BaseException | None:
    while error is not None and not isinstance(error, kind):
        inner = getattr(error, "os_error", None)
        error = inner if inner is not None and inner is not error else error.__cause__ or error.__context__
    return error


__all__ = ["MOST_ANSWER_BYTES", "TIMEOUT", "Poster"]
