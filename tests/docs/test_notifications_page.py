"""The page on notifications: its receivers are read, and its code takes a real webhook."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.receivers.made import message
from tests.receivers.servers import http_server
from upshot.receivers.configured import read_receivers
from upshot.receivers.posting import Poster
from upshot.receivers.results import Accepted
from upshot.settings import Settings

PAGE = (Path(__file__).parents[2] / "docs" / "notifications.md").read_text()


def block(language: str) -> str:
    [found] = re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
    return str(found)


def settings(folder: Path, **changed: Any) -> Settings:
    file = folder / "receivers.toml"
    text = block("toml")
    for before, after in changed.pop("replaced", {}).items():
        text = text.replace(before, after)
    file.write_text(text)
    return Settings(receivers_file=file, **changed)


def test_the_receivers_of_the_page_are_read(tmp_path: Path) -> None:
    found = read_receivers(settings(tmp_path, receiver_allow="alertmanager.internal:9093"))
    kinds = {getattr(receiver, "kind", None) for receiver in found.by_name.values()}
    assert kinds == set(re.findall(r"^\| `(\w+)` \| `", PAGE, re.MULTILINE))


async def test_the_code_of_the_page_takes_a_webhook(tmp_path: Path) -> None:
    scope: dict[str, Any] = {}
    exec(block("python"), scope)
    async with http_server() as server:
        receivers = read_receivers(
            settings(
                tmp_path,
                receiver_allow="127.0.0.1,alertmanager.internal",
                replaced={"https://crm.acme.com/hooks/upshot": server.url},
            )
        )
        poster = Poster(receivers)
        for _ in range(2):
            result = await poster.post(receivers.named("crm"), message(), datetime.now(UTC))
            assert result == Accepted(200)
        await poster.disconnect()
    answers = [scope["receive"](request.body, request.headers) for request in server.received]
    assert answers == ["ticket reopened is firing", "seen before"]
    shown, sent = json.loads(block("json")), json.loads(server.received[0].body)
    assert shown.keys() == sent.keys()
    assert sent["data"].keys() <= shown["data"].keys() | {"revision"}
