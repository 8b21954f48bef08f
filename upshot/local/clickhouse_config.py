"""The configuration of the embedded ClickHouse: small machines, and three users.

`default` runs the engine's own session and nothing else: that session is its only one, and is there before
the listeners are, so that nobody else gets in as `default`. (It could not be kept out by network: the
session counts as a connection from 127.0.0.1.) `app` may do everything, with a password; `viewer` may read
the database `upshot`, without one.
"""

from __future__ import annotations

from pathlib import Path

from upshot.settings import LOCAL_PASSWORD, LOCAL_USER, LOCAL_VIEWER

#: Bytes of the disk that inserts and merges leave free: below that they are refused, and the store waits.
KEPT_FREE = 256 * 1024 * 1024

CONFIG = """\
<clickhouse>
  <logger><level>none</level></logger>
  <listen_host>127.0.0.1</listen_host>
  <http_port>{http_port}</http_port>
  <tcp_port>{tcp_port}</tcp_port>
  <users_config>users.xml</users_config>

  <max_server_memory_usage>4294967296</max_server_memory_usage>
  <mark_cache_size>134217728</mark_cache_size>
  <uncompressed_cache_size>0</uncompressed_cache_size>

  <!-- This engine acknowledges an insert although the disk filled up while it wrote: it must never come to that. -->
  <storage_configuration>
    <disks>
      <default><keep_free_space_bytes>{kept_free}</keep_free_space_bytes></default>
    </disks>
  </storage_configuration>

  <background_pool_size>2</background_pool_size>
  <background_common_pool_size>2</background_common_pool_size>
  <background_schedule_pool_size>8</background_schedule_pool_size>
  <!-- The cores are shared with Kafka and the workers: merges come last, merge less often, and count nothing. -->
  <os_threads_nice_value_merge_mutate>19</os_threads_nice_value_merge_mutate>
  <merge_tree>
    <merge_selector_base>12</merge_selector_base>
    <auto_statistics_types></auto_statistics_types>
    <materialize_statistics_on_merge>0</materialize_statistics_on_merge>
    <!-- Free slots that a mutation or a large merge waits for: the pool has 4 in all. -->
    <number_of_free_entries_in_pool_to_execute_mutation>2</number_of_free_entries_in_pool_to_execute_mutation>
    <number_of_free_entries_in_pool_to_lower_max_size_of_merge>2</number_of_free_entries_in_pool_to_lower_max_size_of_merge>
    <number_of_free_entries_in_pool_to_execute_optimize_entire_partition>2</number_of_free_entries_in_pool_to_execute_optimize_entire_partition>
  </merge_tree>
</clickhouse>
"""

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
      <!-- It would end the process. -->
      <allow_python_table_function>0</allow_python_table_function>
    </app>
    <viewer>
      <profile>app</profile>
      <!-- Settings may change, as drivers and dashboards want, but not this one. -->
      <readonly>2</readonly>
      <max_execution_time>60</max_execution_time>
      <max_memory_usage>2147483648</max_memory_usage>
      <constraints>
        <max_execution_time><min>1</min><max>60</max></max_execution_time>
        <max_memory_usage><min>1</min><max>2147483648</max></max_memory_usage>
      </constraints>
    </viewer>
  </profiles>
  <quotas><default/></quotas>
  <users>
    <default>
      <password></password>
      <networks><ip>127.0.0.1</ip></networks>
      <profile>engine</profile>
      <quota>default</quota>
      <grants>
        <query>GRANT CREATE DATABASE ON upshot.*</query>
        <query>GRANT SYSTEM LISTEN ON *.*</query>
        <query>GRANT READ ON FILE</query>
        <query>GRANT CREATE TEMPORARY TABLE ON *.*</query>
      </grants>
    </default>
    <{LOCAL_USER}>
      <password>{LOCAL_PASSWORD}</password>
      <networks><ip>127.0.0.1</ip></networks>
      <profile>app</profile>
      <quota>default</quota>
    </{LOCAL_USER}>
    <{LOCAL_VIEWER}>
      <password></password>
      <networks><ip>127.0.0.1</ip></networks>
      <profile>viewer</profile>
      <quota>default</quota>
      <grants>
        <query>GRANT SELECT ON upshot.*</query>
        <query>GRANT SELECT ON information_schema.*</query>
        <query>GRANT SELECT ON INFORMATION_SCHEMA.*</query>
        <!-- The views of the information schema read it; it shows tables of `upshot` alone. -->
        <query>GRANT SELECT ON system.parts</query>
      </grants>
    </{LOCAL_VIEWER}>
  </users>
</clickhouse>
"""


def write_config(folder: Path, *, http_port: int, tcp_port: int) -> None:
    """Write `config.xml` and `users.xml`, which the engine reads where it is started."""
    (folder / "config.xml").write_text(
        CONFIG.format(http_port=http_port, tcp_port=tcp_port, kept_free=KEPT_FREE)
    )
    (folder / "users.xml").write_text(USERS)


__all__ = ["KEPT_FREE", "write_config"]
