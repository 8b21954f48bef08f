"""RocksDB for many small databases in a small process."""

from __future__ import annotations

from rocksdict import (
    BlockBasedOptions,
    Cache,
    DBCompressionType,
    Options,
    WriteBufferManager,
)

MIB = 1024 * 1024
#: Memory that the databases of a process share, for blocks that were read and for what isn't on disk yet.
SHARED = 256 * MIB
#: The part of it that changes may take before the largest is written to disk.
WRITES = 96 * MIB
BLOCK = 8 * 1024
FILE = 64 * MIB
#: A file of the index where so many of so many neighbours are deletions is compacted soon.
INDEX_WINDOW, INDEX_DELETIONS = 4_096, 2_048


class Memory:
    """A single budget for all databases of a process, however many partitions the process has."""

    def __init__(self, shared: int = SHARED, writes: int = WRITES) -> None:
        self.cache = Cache(shared)
        self.writes = WriteBufferManager.new_write_buffer_manager_with_cache(writes, False, self.cache)


def values_options(memory: Memory) -> Options:
    """For keys and values: found by key, most of them not there."""
    options = _database(memory, write_buffer=32 * MIB)
    options.set_block_based_table_factory(_blocks(memory, bloom=True))
    options.set_bottommost_compression_type(DBCompressionType.zstd())
    return options


def index_options(memory: Memory) -> Options:
    """For the index by due instant: read from its head, where everything is deleted in the end."""
    options = _database(memory, write_buffer=16 * MIB)
    options.set_block_based_table_factory(_blocks(memory, bloom=False))
    options.add_compact_on_deletion_collector_factory(INDEX_WINDOW, INDEX_DELETIONS, 0.5)
    return options


def meta_options(memory: Memory) -> Options:
    """For the few bytes describing the database's contents."""
    return _database(memory, write_buffer=1 * MIB)


def _database(memory: Memory, write_buffer: int) -> Options:
    options = Options(raw_mode=True)
    options.create_if_missing(True)
    options.create_missing_column_families(True)
    options.set_write_buffer_manager(memory.writes)
    options.set_write_buffer_size(write_buffer)
    options.set_max_write_buffer_number(4)
    options.set_compression_type(DBCompressionType.lz4())
    options.set_level_compaction_dynamic_level_bytes(True)
    options.set_target_file_size_base(FILE)
    options.set_max_bytes_for_level_base(4 * FILE)
    options.set_max_open_files(256)
    options.set_max_background_jobs(2)
    options.set_max_total_wal_size(64 * MIB)
    options.set_bytes_per_sync(MIB)
    options.set_keep_log_file_num(2)
    options.set_max_log_file_size(MIB)
    options.set_stats_dump_period_sec(0)
    return options


def _blocks(memory: Memory, *, bloom: bool) -> BlockBasedOptions:
    blocks = BlockBasedOptions()
    blocks.set_block_cache(memory.cache)
    blocks.set_block_size(BLOCK)
    blocks.set_format_version(5)
    # Within the budget too: otherwise the memory of an open file counts for nothing and grows with the data.
    blocks.set_cache_index_and_filter_blocks(True)
    blocks.set_pin_l0_filter_and_index_blocks_in_cache(True)
    if bloom:
        blocks.set_bloom_filter(10, False)
    return blocks


__all__ = ["Memory", "index_options", "meta_options", "values_options"]
