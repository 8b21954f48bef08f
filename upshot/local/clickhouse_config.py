"""The configuration of the embedded ClickHouse: small machines, and no answers to web pages."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

from upshot.credentials import Credentials
from upshot.local.clickhouse_users import users_config
from upshot.private_files import write_private

#: Bytes of disk that inserts and merges leave free: with fewer, both are refused, and the store waits.
RESERVED_FREE = 256 * 1024 * 1024

CONFIG = """\
<clickhouse>
  <logger><level>none</level></logger>
  <listen_host>127.0.0.1</listen_host>
  <http_port>{http_port}</http_port>
  <tcp_port>{tcp_port}</tcp_port>
  <users_config>users.xml</users_config>
  <display_name>{name}</display_name>

  <!-- Who may read a database may not thereby read the server: system tables and engines need grants. -->
  <access_control_improvements>
    <users_without_row_policies_can_read_rows>true</users_without_row_policies_can_read_rows>
    <select_from_system_db_requires_grant>true</select_from_system_db_requires_grant>
    <select_from_information_schema_requires_grant>true</select_from_information_schema_requires_grant>
    <table_engines_require_grant>true</table_engines_require_grant>
    <on_cluster_queries_require_cluster_grant>true</on_cluster_queries_require_cluster_grant>
  </access_control_improvements>

  <!-- Browsers say where a request comes from: those of pages are turned away, with a right password too. -->
  <http_options_response/>
  <http_handlers>
    <rule>
      <headers><Origin><![CDATA[regex:.+]]></Origin></headers>
      <handler>{refusal}</handler>
    </rule>
    <rule>
      <headers><Sec-Fetch-Site><![CDATA[regex:cross-site|same-site]]></Sec-Fetch-Site></headers>
      <handler>{refusal}</handler>
    </rule>
    <rule>
      <url>/ping</url>
      <methods>GET,HEAD</methods>
      <handler><type>ping</type></handler>
    </rule>
    <rule>
      <url>/</url>
      <methods>GET,HEAD</methods>
      <empty_query_string/>
      <handler><type>static</type><content_type>text/plain</content_type><response_content>Ok.&#10;</response_content></handler>
    </rule>
    <rule>
      <url>/</url>
      <methods>GET,HEAD,POST</methods>
      <handler><type>dynamic_query_handler</type><query_param_name>query</query_param_name></handler>
    </rule>
  </http_handlers>

  <max_server_memory_usage>4294967296</max_server_memory_usage>
  <mark_cache_size>134217728</mark_cache_size>
  <uncompressed_cache_size>0</uncompressed_cache_size>

  <!-- This engine acknowledges an insert although the disk filled up meanwhile: avoid a full disk. -->
  <storage_configuration>
    <disks>
      <default><keep_free_space_bytes>{reserved_free}</keep_free_space_bytes></default>
    </disks>
  </storage_configuration>

  <background_pool_size>2</background_pool_size>
  <background_common_pool_size>2</background_common_pool_size>
  <background_schedule_pool_size>8</background_schedule_pool_size>
  <!-- The cores are shared with Kafka and the workers: merges come last, are rarer, and count nothing. -->
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

_REFUSAL = (
    "<type>static</type><status>403</status><content_type>text/plain</content_type>"
    "<response_content>ClickHouse answers no web pages&#10;</response_content>"
)


def server_name(folder: Path) -> str:
    """The name that the engine in this folder gives in each answer to a query."""
    return f"upshot-{sha256(str(folder).encode()).hexdigest()[:12]}"


def write_config(folder: Path, credentials: Credentials, *, http_port: int, tcp_port: int) -> None:
    """Write `config.xml` and `users.xml`, which the engine reads where it is started."""
    config = CONFIG.format(
        http_port=http_port,
        tcp_port=tcp_port,
        reserved_free=RESERVED_FREE,
        name=server_name(folder),
        refusal=_REFUSAL,
    )
    write_private(folder / "config.xml", config)
    write_private(folder / "users.xml", users_config(credentials))


__all__ = ["RESERVED_FREE", "server_name", "write_config"]
