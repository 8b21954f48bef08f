"""The metadata of committed offsets: written and read by this version, and read as others wrote it."""

from __future__ import annotations

import pytest

from upshot.streams.kafka.offset_metadata import OffsetMetadata, read_metadata
from upshot.streams.runtime.poison import BEGUN, Note, read_note, write_note

ID = "AAECAwQFBgcICQoLDA0ODw"
SIGN = "recovering 7"
NOTE = write_note(Note(1, 12, 30, 2))


@pytest.mark.parametrize("token", ["", ID])
@pytest.mark.parametrize("sign", ["", SIGN])
@pytest.mark.parametrize("note", ["", BEGUN, NOTE])
def test_each_part_may_be_missing_and_is_read_as_it_was_written(token: str, sign: str, note: str) -> None:
    metadata = OffsetMetadata(token, sign, note)
    assert read_metadata(str(metadata)) == metadata
    assert len(str(metadata)) < 300


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        (None, ("", "", "")),
        ("", ("", "", "")),
        (ID, (ID, "", "")),
        (f"{ID} {SIGN}", (ID, SIGN, "")),
        (f" {SIGN}", ("", SIGN, "")),
        (NOTE, ("", "", NOTE)),
        (f"{ID} {NOTE}", (ID, "", NOTE)),
        (f"{ID} {SIGN} {NOTE}", (ID, SIGN, NOTE)),
    ],
)
def test_what_others_wrote_is_read(text: str | None, parts: tuple[str, ...]) -> None:
    assert read_metadata(text) == parts


def test_a_sign_of_life_takes_the_place_of_the_one_before_and_leaves_the_rest() -> None:
    signed = read_metadata(f"{ID} {SIGN} {NOTE}")._replace(sign="recovering 6")
    assert str(signed) == f"{ID} recovering 6 {NOTE}"


def test_metadata_say_which_topic_an_offset_is_of() -> None:
    for text in (ID, f"{ID} {SIGN}", f"{ID} {NOTE}"):
        assert read_metadata(text).is_of(ID)
        assert not read_metadata(text).is_of("another")
    assert read_metadata("").is_of(ID) and read_metadata(NOTE).is_of(ID), (
        "who says none means the one that is there"
    )
    assert read_metadata(ID).is_of(""), "brokers that tell no id are believed"


@pytest.mark.parametrize("text", ["", "by hand", "{}", '{"span": 3}', '{"poison_guard": 2}', "[]", "{"])
def test_what_others_note_is_no_note(text: str) -> None:
    assert read_note(read_metadata(text).note) is None
