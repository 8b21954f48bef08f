"""Where a record was first written, whatever its headers say."""

from __future__ import annotations

import pytest

from upshot.streams.events.records import FORWARDED_FROM, Place, place_of
from upshot.streams.kafka.fetch import Fetched

OWN = Place("upshot.outcomes", 3, 9)
#: What no worker writes: anyone may.
ODD = [
    b"",
    b"rubbish",
    b"a/b/c",
    b"upshot.outcomes/1",
    b"upshot.outcomes//5",
    b"upshot.outcomes/1/",
    b"upshot.outcomes/-1/5",
    b"upshot.outcomes/1/-5",
    b"upshot.outcomes/1/5 ",
    b"upshot.outcomes/1_0/5",
    "upshot.outcomes/\u0661/5".encode(),
    b"upshot.outcomes/1/5\n",
    b"upshot.outcomes/1/" + b"9" * 5_000,
    b"upshot.outcomes/" + b"9" * 10 + b"/5",
    b"upshot.waits/1/5",
    b"upshot.outcomes/1/5/",
    b"upshot.outcomes/1/5/AAAA-_1",
    b"upshot.outcomes/1/5/AAAA-_1zz",
    b"upshot.outcomes/1/5/AAAA-_1z/",
    b"upshot.outcomes/1/5/AAAA-_1z/AAAA-_1z",
    b"upshot.outcomes/1/5/AAAA.+1z",
    "upshot.outcomes/1/5/AAAA-_1\u0661".encode(),
    b"upshot.outcomes/1/AAAA-_1z",
    b"upshot.outcomes" + b"/1" * 5_000,
    b"\xff\xfe/1/5",
    b"\0/1/5",
]


def place(*headers: bytes) -> Place:
    named = tuple((FORWARDED_FROM, header) for header in headers)
    return place_of(Fetched("upshot.outcomes", 3, 9, -1, None, None, named))


def test_a_forwarded_record_is_where_it_was_first() -> None:
    assert place(b"upshot.outcomes/1/5") == Place("upshot.outcomes", 1, 5)
    assert place(b"upshot.outcomes/1/5/AAAA-_1z") == Place("upshot.outcomes", 1, 5, "AAAA-_1z")
    assert place() == OWN


@pytest.mark.parametrize("header", ODD)
def test_a_header_that_names_no_place_counts_as_absent(header: bytes) -> None:
    assert place(header) == OWN
    assert place(header, b"upshot.outcomes/1/5") == Place("upshot.outcomes", 1, 5)
