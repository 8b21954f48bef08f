"""The columns of the storage tables, in the order in which `rows` fills them."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

#: By table.
COLUMNS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        table: tuple(columns.split())
        for table, columns in {
            "raw_runs": "run_id agent version status started_at ended_at session_id parent_run_id origin "
            "error input output attributes recorded_at",
            "raw_exposures": "run_id exposure_id experiment variant phase probability unit strategy "
            "exposed_at recorded_at weights_from row_version",
            "raw_experiments": "experiment recorded_at offset status phase strategy variants control unit "
            "traffic hash_version phases alpha planned_units mde reason changed_at record row_version",
            "raw_waits": "subject wait_id run_id step_id name agent mode outcome_types rule opened_at since "
            "deadline exposures attributes reply_to recorded_at revision row_version",
            "raw_cancellations": (
                "topic subject id asker revision run_id cancelled_at recorded_at row_version"
            ),
            "raw_deferrals": "followup_id run_id step_id scorer version data deferred_at since key agent "
            "exposures attributes recorded_at row_version",
            "raw_followups": "followup_id run_id step_id scorer version agent status attempts error "
            "waiting_for deferred_at changed_at revision recorded_at row_version",
            "raw_steps": "run_id step_id attempt parent_step_id name kind status started_at ended_at "
            "provider model input_tokens output_tokens cached_input_tokens cost_usd error input output "
            "attributes operation request_model cache_write_input_tokens reasoning_output_tokens "
            "first_chunk_seconds finish_reasons tool_name tool_call_id prompt_name prompt_version "
            "cost_source error_type response_id instrumentation recorded_at row_version",
            "raw_outcomes": (
                "subject source id type time data topic partition offset recorded_at width sequence "
                "row_version"
            ),
            "raw_scores": "score_id fact_id run_id step_id name value kind key revision supersedes reason "
            "late subject wait_id outcome_id occurred_at decided_at agent source comment exposures "
            "attributes recorded_at offset row_version precedence",
            "raw_alerts": "alert_id name run_id score_id revision value kind message raised_at recorded_at "
            "state_revision state rule_kind cause severity subjects threshold detected_at notify silent "
            "links row_version",
            "raw_alert_rules": "name recorded_at offset kind enabled severity score notify muted_until "
            "version changed_at changed_by record row_version",
            "raw_notices": "notice_id alert_id name receiver receiver_kind state status attempts last_status "
            "error next_attempt_at digest_id digest_of raised_at sent_at changed_at revision recorded_at "
            "row_version",
            "raw_dead_letters": "dead_letter_id reason detail topic partition offset key payload headers "
            "recorded_at row_version",
        }.items()
    }
)

#: Columns of more than 64 bits. They come last in their tables.
WIDE = frozenset({"row_version", "precedence"})

__all__ = ["COLUMNS", "WIDE"]
