-- Follow-ups that are not done: no answer yet, as with open waits.

CREATE OR REPLACE VIEW pending_followups
(
    followup_id String COMMENT 'The follow-up',
    run_id String COMMENT 'The run that it is about',
    step_id Nullable(String) COMMENT 'The step that it is about, if not the whole run',
    name LowCardinality(String) COMMENT 'Its scorer, which is the name of the score that its code returns',
    version LowCardinality(String) COMMENT 'The version of that code',
    status LowCardinality(String) COMMENT 'running, waiting, failed or undeployed, as in current_followups; deferred: no worker has told of it yet',
    subject String COMMENT 'What it waits for news about, of several what ends first; empty where it waits for nothing or sleeps',
    agent String COMMENT 'The agent: as the deferral says it, else as its run does',
    opened_at DateTime64(6, 'UTC') COMMENT 'When it was deferred',
    deadline Nullable(DateTime64(6, 'UTC')) COMMENT 'When the first that it waits for ends; absent where it waits for nothing',
    overdue Bool COMMENT 'Whether that has passed',
    attributes Map(String, String) COMMENT 'The run''s free facts, over those that the deferral carries'
)
AS
SELECT
    deferral.followup_id AS followup_id,
    deferral.run_id AS run_id,
    deferral.step_id AS step_id,
    deferral.scorer AS name,
    deferral.version AS version,
    if(followup.status = '', 'deferred', toString(followup.status)) AS status,
    arraySort(wait -> wait.3, followup.waiting_for)[1].1 AS subject,
    if(deferral.agent != '', toString(deferral.agent), ifNull(run.agent, '')) AS agent,
    deferral.deferred_at AS opened_at,
    if(empty(followup.waiting_for), NULL, arrayMin(wait -> wait.3, followup.waiting_for)) AS deadline,
    toBool(ifNull(deadline < now64(6), false)) AS overdue,
    mapUpdate(CAST(deferral.attributes, 'Map(String, String)'), run.attributes) AS attributes
FROM (SELECT * FROM raw_deferrals FINAL) AS deferral
LEFT ANY JOIN (SELECT followup_id, status, waiting_for FROM raw_followups FINAL) AS followup
    ON deferral.followup_id = followup.followup_id
LEFT ANY JOIN runs AS run ON deferral.run_id = run.run_id
WHERE followup.status IN ('', 'running', 'waiting', 'failed', 'undeployed')
COMMENT 'Follow-ups that are not done: what their code would score is still to come';
