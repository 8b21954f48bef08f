"""The users of the embedded ClickHouse, and the rights of each.

`default` runs the engine's own session and nothing else: `default` may have a single session, and the
engine's is there before the listeners are, so nobody else gets in as `default`. (A network rule could not
keep others out: the session counts as a connection from 127.0.0.1.) `app` reads and writes the database
`upshot`, and others whose names begin with `upshot_`; `viewer` reads `upshot`. Both have passwords. Neither
gets beyond its databases: see `BEYOND`.
"""

from __future__ import annotations

from hashlib import sha256

from upshot.credentials import Credentials
from upshot.settings import LOCAL_USER, LOCAL_VIEWER

#: Settings that lead out of the database, since this engine takes itself for a tool of its user's. No grant
#: covers them, so that nobody may change them: files that a format reads or writes, addresses, headers of the
#: answer, disks.
BEYOND = (
    "add_http_cors_header",
    "http_response_headers",
    "format_schema",
    "format_schema_source",
    "format_schema_message_name",
    "format_template_row",
    "format_template_resultset",
    "output_format_schema",
    "input_format_record_errors_file_path",
    "rename_files_after_processing",
    "format_avro_schema_registry_url",
    "cluster_for_parallel_replicas",
    "allow_experimental_ai_functions",
    "dynamic_disk_allow_from_env",
    "dynamic_disk_allow_from_zk",
    "dynamic_disk_allow_include",
    "merge_tree_disk",
    "merge_tree_table_disk",
    # It would end the process.
    "allow_python_table_function",
)

#: Seconds. Clients ask for more than they wait: Grafana's plugin for its own limit and 5, others for 60 and
#: 5.
VIEWER_SECONDS, VIEWER_LONGEST = 60, 75

_OWN = (
    "SHOW, SELECT, INSERT, CREATE DATABASE, CREATE TABLE, CREATE VIEW, DROP DATABASE, DROP TABLE, DROP VIEW, "
    "TRUNCATE, OPTIMIZE, SYSTEM MERGES, SYSTEM VIEWS, ALTER UPDATE, ALTER DELETE, ALTER COLUMN, ALTER INDEX, "
    "ALTER STATISTICS, ALTER PROJECTION, ALTER CONSTRAINT, ALTER ORDER BY, ALTER SAMPLE BY, ALTER TTL, "
    "ALTER MATERIALIZE TTL, ALTER SETTINGS, ALTER MODIFY COMMENT, ALTER VIEW"
)
_ENGINES = (
    "MergeTree",
    "ReplacingMergeTree",
    "AggregatingMergeTree",
    "SummingMergeTree",
    "CollapsingMergeTree",
    "VersionedCollapsingMergeTree",
    "Memory",
    "Null",
)
_APP_GRANTS = (
    f"GRANT {_OWN} ON upshot.*",
    f"GRANT {_OWN} ON upshot_*.*",
    f"GRANT {', '.join(f'TABLE ENGINE ON {engine}' for engine in _ENGINES)}",
    "GRANT CREATE TEMPORARY TABLE ON *.*",
    "GRANT SELECT ON information_schema.*",
    "GRANT SELECT ON INFORMATION_SCHEMA.*",
    # Of its own tables alone; what runs, to see and to end it.
    "GRANT SELECT ON system.parts",
    "GRANT SELECT ON system.mutations",
    "GRANT SELECT ON system.merges",
    "GRANT SELECT ON system.processes",
    "GRANT SELECT ON system.merge_tree_settings",
    "GRANT KILL QUERY ON *.*",
)
_VIEWER_GRANTS = (
    "GRANT SELECT ON upshot.*",
    "GRANT SELECT ON information_schema.*",
    "GRANT SELECT ON INFORMATION_SCHEMA.*",
    # The views of the information schema read it; it shows tables of `upshot` alone.
    "GRANT SELECT ON system.parts",
)
#: Tables of storage, and views that feed them: `viewer` may read these, and no list names them, so that a
#: client shows the views for people alone.
STORAGE = r"^(raw_|exact_|changed_by_)|_feed$|^(changed_runs|migrations|schema_migrations)$"
_LISTS = {"tables": "name", "columns": "table"}
_ENGINE_GRANTS = (
    "GRANT CREATE DATABASE ON upshot.*",
    "GRANT SYSTEM LISTEN ON *.*",
    "GRANT READ ON FILE",
    "GRANT CREATE TEMPORARY TABLE ON *.*",
)

USERS = f"""\
<clickhouse>
  <profiles>
    <default/>
    <!-- Not in the profile `default`: the server takes that for every user's. -->
    <engine>
      <max_sessions_for_user>1</max_sessions_for_user>
    </engine>
    <app>
      <!-- An acknowledged insert is on disk, and deduplicated by its token. -->
      <async_insert>0</async_insert>
      <!-- What every driver can read, whatever its age. -->
      <network_compression_method>LZ4</network_compression_method>
      <allow_python_table_function>0</allow_python_table_function>
      <add_http_cors_header>0</add_http_cors_header>
      <constraints>
        {"".join(f"<{name}><const/></{name}>" for name in BEYOND)}
      </constraints>
    </app>
    <viewer>
      <profile>app</profile>
      <!-- Settings may change, as drivers and dashboards want, but not this one. -->
      <readonly>2</readonly>
      <max_execution_time>{VIEWER_SECONDS}</max_execution_time>
      <max_memory_usage>2147483648</max_memory_usage>
      <constraints>
        <max_execution_time><min>1</min><max>{VIEWER_LONGEST}</max></max_execution_time>
        <max_memory_usage><min>1</min><max>2147483648</max></max_memory_usage>
      </constraints>
    </viewer>
  </profiles>
  <quotas><default/></quotas>
  <users>
    {{users}}
  </users>
</clickhouse>
"""


def users_config(credentials: Credentials) -> str:
    """The content of `users.xml`; a password is there as its hash."""
    users = (
        _user("default", "engine", "<password></password>", _ENGINE_GRANTS),
        _user(LOCAL_USER, "app", _hash(credentials.app), _APP_GRANTS),
        _user(LOCAL_VIEWER, "viewer", _hash(credentials.viewer), _VIEWER_GRANTS, _unlisted()),
    )
    return USERS.replace("{users}", "\n    ".join(users))


def _hash(password: str) -> str:
    return f"<password_sha256_hex>{sha256(password.encode()).hexdigest()}</password_sha256_hex>"


def _unlisted() -> str:
    """Filters of the lists of tables and columns."""
    filters = (
        f"<{table}><filter>NOT match({column}, '{STORAGE}')</filter></{table}>"
        for table, column in _LISTS.items()
    )
    return f"<databases><system>{''.join(filters)}</system></databases>"


def _user(name: str, profile: str, password: str, grants: tuple[str, ...], filters: str = "") -> str:
    return (
        f"<{name}>{password}<networks><ip>127.0.0.1</ip></networks><profile>{profile}</profile>"
        f"<quota>default</quota><grants>"
        f"{''.join(f'<query>{grant}</query>' for grant in grants)}</grants>{filters}</{name}>"
    )


__all__ = ["BEYOND", "STORAGE", "VIEWER_LONGEST", "users_config"]
