"""No text of others steers a terminal, hides, or turns what stands around it."""

from __future__ import annotations

import json
import logging
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from upshot.insights.refusals import first_line, refusal
from upshot.plain_text import plain, plain_json
from upshot.processors.store.connection import first_line as first_line_of_error
from upshot.streams.kafka.logs import OneLine

HOSTILE = [
    "\x1b[31mRED\x1b[0m\x1b]0;TITLE\x07\x1b[2J",
    "\x9b31m",
    "\x1b]8;;http://evil\x1b\\link\x1b]8;;\x1b\\",
    "\u202egnp.exe\u2066\u200b\u2028\u2029\x85",
    "\r\nHTTP/1.1 200 OK",
    "\x00nul\x7f",
    "a\u200db\ufeffc\u00ad\u061c",
    "\U000e0041\U000e0062\U000e0101 tags",
    "\u3164\u115f\uffa0\u2800 fillers",
    "\ud800 lone",
]
UNSEEN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}


def is_harmless(text: str, keep: str = "") -> bool:
    return not [c for c in text if c not in keep and unicodedata.category(c) in UNSEEN]


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_shows_as_what_it_is(text: str) -> None:
    assert is_harmless(plain(text)) and is_harmless(plain_json(json.dumps(text, ensure_ascii=False)))
    assert json.loads(plain_json(json.dumps(text, ensure_ascii=False))) == text
    assert not set("\u3164\u115f\uffa0\u2800") & set(plain(text))


@pytest.mark.parametrize(
    "text", ["plain", "Zoë", "日本語", "עברית", "😀", "[red]x[/red] :smile:", "<b>", "-1.5"]
)
def test_what_people_write_stays(text: str) -> None:
    assert plain(text) == text


@given(st.text())
def test_any_text_is_harmless(text: str) -> None:
    assert is_harmless(plain(text))
    assert is_harmless(plain(text, keep="\n"), keep="\n")
    assert json.loads(plain_json(json.dumps({text: [text]}, ensure_ascii=False))) == {text: [text]}


@pytest.mark.parametrize("text", HOSTILE)
def test_what_clickhouse_says_is_harmless(text: str) -> None:
    said = f"Code: 395. DB::Exception: {text}: while executing. (VERSION)"
    assert is_harmless(str(refusal(said))) and is_harmless(first_line(said))
    assert is_harmless(first_line_of_error(ValueError(said)))


@pytest.mark.parametrize("text", HOSTILE)
def test_a_log_line_is_harmless(text: str) -> None:
    record = logging.LogRecord("upshot", logging.WARNING, "", 0, "it said %s", (text,), None)
    assert is_harmless(OneLine().format(record))
