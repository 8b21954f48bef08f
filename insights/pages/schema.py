"""Tables and columns of the database, for the completion of the SQL editor."""

from __future__ import annotations

from upshot.insights.reader import Reader

_COLUMNS = """\
SELECT table, name FROM system.columns
WHERE database = currentDatabase() AND NOT startsWith(table, 'raw_') AND table != 'schema_migrations'
ORDER BY table, position"""


def tables_and_columns(reader: Reader) -> dict[str, list[str]]:
    """The columns of every view and table for reading."""
    found: dict[str, list[str]] = {}
    for table, column in reader.query(_COLUMNS).rows:
        found.setdefault(table, []).append(column)
    return found


__all__ = ["tables_and_columns"]
