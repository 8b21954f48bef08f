"""Failed notices, as requests to try them again."""

from __future__ import annotations

from typing import Any

from upshot.errors import ConfigurationError
from upshot.insights.reader import Reader
from upshot.schemas.alerts import Alert
from upshot.schemas.notices import NoticeRequest

#: Notices retried at once.
MOST_RETRIED = 1_000
_NOTHING = "nothing was sent"

_FAILED = f"""\
SELECT notice.notice_id AS notice_id, notice.receiver AS receiver, notice.status AS status,
    notice.state AS sent_state, alert.state AS state, alert.alert_id AS alert_id, alert.name AS name,
    alert.rule_kind AS rule_kind, alert.cause AS cause, alert.revision AS revision,
    alert.severity AS severity, alert.subjects AS subjects, alert.run_id AS run_id,
    alert.score_id AS score_id, alert.value AS value, alert.kind AS kind,
    alert.threshold AS threshold, alert.message AS message, alert.raised_at AS raised_at,
    alert.links AS links
FROM
(
    SELECT notice_id, alert_id, receiver, status, state FROM notices
    WHERE empty(digest_of)
        AND (notice_id = {{id:String}} OR alert_id = {{id:String}} OR digest_id = {{id:String}})
) AS notice
INNER JOIN
(
    SELECT * FROM alerts ORDER BY revision DESC, state = 'firing' DESC LIMIT 1 BY alert_id
) AS alert ON notice.alert_id = alert.alert_id
ORDER BY alert_id, notice_id
LIMIT {MOST_RETRIED}"""


def retry_requests(reader: Reader, ident: str) -> list[NoticeRequest]:
    """The requests for a failed notice, those of an alert, or those in a digest.

    Raises ConfigurationError, saying why there is nothing to retry.
    """
    rows = reader.query(_FAILED, {"id": ident}).objects()
    if not rows:
        raise ConfigurationError(
            f"there is no notice, alert or digest {ident[:200]!r} (upshot alerts notices --failed); "
            f"{_NOTHING}"
        )
    failed = [row for row in rows if row["status"] == "failed"]
    if not failed:
        stand = ", ".join(sorted({row["status"] for row in rows}))
        raise ConfigurationError(f"{ident[:200]} has not failed, but is {stand}; {_NOTHING}")
    present = [row for row in failed if row["sent_state"] == row["state"]]
    if not present:
        raise ConfigurationError(
            f"{ident[:200]} is about an alert that is {failed[0]['state']} by now: the notice would be "
            f"wrong; {_NOTHING}"
        )
    return [_request(row) for row in present]


def _request(row: dict[str, Any]) -> NoticeRequest:
    value = None if row["value"] is None else float(row["value"])
    alert = Alert.model_validate(
        {
            "alert_id": row["alert_id"],
            "name": row["name"],
            "kind": row["rule_kind"],
            "state": row["state"],
            "cause": row["cause"],
            "revision": int(row["revision"]),
            "severity": row["severity"],
            "group": row["subjects"],
            "run_id": row["run_id"] or None,
            "score_id": row["score_id"] or None,
            "value": bool(value) if row["kind"] == "boolean" and value is not None else value,
            "threshold": row["threshold"],
            "message": row["message"],
            "raised_at": f"{str(row['raised_at']).replace(' ', 'T')}Z",
            "links": row["links"] or None,
            "notify": [row["receiver"]],
        }
    )
    return NoticeRequest(receiver=row["receiver"], alert=alert, retry=row["notice_id"])


__all__ = ["MOST_RETRIED", "retry_requests"]
