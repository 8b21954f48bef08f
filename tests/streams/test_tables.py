"""A partition on disk behaves as a dict with a sorted index, whatever happens to its process."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.streams.table_writer import at, changes_of
from upshot.streams.state import Memory, PartitionTable, Stalled, UnknownFormat, UnusableState, frame, unframe
from upshot.streams.state.bulk import BulkLoad
from upshot.streams.state.framing import payload

MEMORY = Memory()
DUES = st.none() | st.integers(0, 5) | st.integers(0, 2**63)
#: As format 1 had it.
BEFORE = st.builds(
    lambda value, due: b"\x01" + due.to_bytes(8, "big") + value,
    st.binary(max_size=3),
    st.integers(0, 5) | st.just(2**64 - 1),
)
Write = dict[bytes, bytes | None]
WRITES = st.dictionaries(
    st.sampled_from([b"%d" % n for n in range(12)]) | st.binary(max_size=3),
    st.none() | st.builds(frame, st.binary(max_size=3), DUES, st.integers(0, 3)) | BEFORE,
    max_size=8,
)


class Model:
    """What a table should be."""

    def __init__(self) -> None:
        self.values: dict[bytes, bytes] = {}

    def apply(self, changes: Write) -> None:
        for key, framed in changes.items():
            if framed is None:
                self.values.pop(key, None)
            else:
                self.values[key] = framed

    def due(self, upto: int) -> list[bytes]:
        dues = ((unframe(framed).due, key) for key, framed in self.values.items())
        return [key for _, key in sorted((due, key) for due, key in dues if due is not None and due <= upto)]


def agree(table: PartitionTable, model: Model, position: int) -> None:
    assert dict(table.framed_items()) == model.values
    assert (table.size, table.position) == (len(model.values), position)
    everything = model.due(2**64)
    assert table.due(2**64, 1000) == everything
    assert table.due(3, 1000) == model.due(3)
    assert table.due(2**64, 2) == everything[:2]
    assert table.waiting == sum(unframe(framed).waiting for framed in model.values.values())
    nearest = unframe(model.values[everything[0]]).due if everything else None
    assert table.nearest_due() == nearest


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(WRITES, st.booleans(), st.booleans()), min_size=1, max_size=8))
def test_a_dict_with_a_sorted_index(steps: list[tuple[Write, bool, bool]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        table, model = PartitionTable(Path(folder) / "0", MEMORY), Model()
        for position, (changes, read_first, reopen) in enumerate(steps):
            if read_first:
                keys = list(changes)
                wanted = [None if (v := model.values.get(key)) is None else payload(v) for key in keys]
                assert table.get_many(keys) == wanted
            table.apply(changes, position)
            model.apply(changes)
            agree(table, model, position)
            if reopen:
                table.close()
                table = PartitionTable(Path(folder) / "0", MEMORY)
                agree(table, model, position)
        table.close()


@settings(max_examples=60, deadline=None)
@given(st.lists(WRITES, max_size=4))
def test_filling_in_bulk_comes_to_the_same(writes: list[Write]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        table, model = PartitionTable(Path(folder) / "0", MEMORY), Model()
        load = BulkLoad(table)
        for changes in writes:
            assert all(load.take(changes))
            model.apply(changes)
        assert all(load.index())
        load.flush()
        load.finish(7)
        agree(table, model, 7)
        table.close()


@given(st.binary(), DUES, st.integers(0, 2**32 - 1))
def test_a_frame_gives_back_what_was_put_into_it(value: bytes, due: int | None, waiting: int) -> None:
    assert unframe(frame(value, due, waiting)) == (value, due, waiting)


def test_what_format_1_has_written_is_read() -> None:
    due = (1_782_864_000_000_000).to_bytes(8, "big")
    assert unframe(b"\x01" + due + b"value") == (b"value", 1_782_864_000_000_000, 0)
    assert unframe(b"\x01" + b"\xff" * 8 + b"value") == (b"value", None, 0)


@given(st.integers(-5, 2**63), st.integers(-5, 2**63))
def test_due_instants_sort_as_their_bytes(one: int, other: int) -> None:
    before = max(one, 0) <= max(other, 0)
    assert (frame(b"", one) <= frame(b"", other)) == before


@pytest.mark.parametrize(
    "value", [b"", b"\x01short", b"\x02" + b"\0" * 11, b'{"outcomes":{}}', b"\x03" + b"\0" * 20, b"\0" * 20]
)
def test_an_unknown_format_is_refused(value: bytes) -> None:
    with pytest.raises(UnknownFormat, match="nothing was changed"):
        unframe(value)


@pytest.mark.parametrize("written", [1, 40, 400])
def test_a_killed_process_leaves_whole_batches(tmp_path: Path, written: int) -> None:
    """Its position is that of the last batch that is there, and not before the last that it has told of."""
    script = Path(__file__).with_name("table_writer.py")
    writer = subprocess.Popen([sys.executable, script, tmp_path / "0"], stdout=subprocess.PIPE)
    assert writer.stdout is not None
    told = -1
    while told < written:
        told = int(writer.stdout.readline())
    writer.kill()
    writer.wait()
    writer.stdout.close()
    table = PartitionTable(tmp_path / "0", MEMORY)
    assert table.position is not None
    assert table.position >= told
    model = Model()
    for number in range(table.position + 1):
        model.apply(changes_of(number))
    agree(table, model, table.position)
    assert table.nearest_due() == at(table.position)
    table.close()


def broken(folder: Path) -> None:
    (folder / "CURRENT").write_text("")


def of_another_layout(folder: Path) -> None:
    from rocksdict import Rdict

    from upshot.streams.state import partition

    database = Rdict(str(folder), partition.values_options(MEMORY), partition._columns(MEMORY))
    meta = database.get_column_family("meta")
    meta.put(b"meta", b"\x07" + b"\0" * 40)
    meta.close()
    database.close()


def a_file(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.write_text("")


@pytest.mark.parametrize("damage", [broken, of_another_layout, a_file])
def test_what_is_no_database_is_unusable_and_stays_as_it_is(tmp_path: Path, damage: object) -> None:
    PartitionTable(tmp_path / "0", MEMORY).close()
    assert callable(damage)
    damage(tmp_path / "0")
    for _ in range(2):  # the first failure has let go of the files
        with pytest.raises(UnusableState, match=str(tmp_path)):
            PartitionTable(tmp_path / "0", MEMORY)


def test_a_database_that_has_to_catch_up_says_so_and_took_nothing(tmp_path: Path) -> None:
    table = PartitionTable(tmp_path / "0", MEMORY)
    triggers = ("file_num_compaction", "slowdown_writes", "stop_writes")
    table.database.set_options(dict.fromkeys((f"level0_{name}_trigger" for name in triggers), "2"))
    table.database.set_options({"level0_file_num_compaction_trigger": "1000"})
    table.apply({b"a": frame(b"1", 5)}, 1)
    table.database.flush()
    with pytest.raises(Stalled):
        for n in range(100):
            table.apply({b"b": frame(b"%d" % n, 4)}, 2)
            table.database.flush()
    assert dict(table.framed_items())[b"a"] == frame(b"1", 5)
    table.close()
    again = PartitionTable(tmp_path / "0", MEMORY)
    assert again.get_many([b"a"]) == [b"1"]
    again.close()
