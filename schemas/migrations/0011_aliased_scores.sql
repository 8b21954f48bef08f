-- What was written under a trace's id finds its run where the root of the trace says another run id: scores, open
-- waits and follow-ups are shown under that id, in whatever order all of it arrived.

CREATE OR REPLACE VIEW current_scores
(
    score_id String COMMENT 'What the revisions of one score share',
    run_id String COMMENT 'The run that it is about; for a trace whose root says another run id, that id',
    step_id Nullable(String) COMMENT 'The step that it is about, if not the whole run',
    name LowCardinality(String) COMMENT 'What is scored',
    value Float64 COMMENT 'The number; booleans are 0 and 1',
    kind LowCardinality(String) COMMENT 'number or boolean',
    revision UInt64 COMMENT 'From 1, one more for each change of mind',
    reason LowCardinality(String) COMMENT 'outcome, deadline, given',
    late Bool COMMENT 'Whether the outcome arrived after the deadline was judged',
    subject String COMMENT 'The subject of the wait that it answers',
    wait_id String COMMENT 'The wait that it answers',
    outcome_id String COMMENT 'The outcome that decided it',
    occurred_at Nullable(DateTime64(6, 'UTC')) COMMENT 'When what decided it happened',
    decided_at DateTime64(6, 'UTC') COMMENT 'When it was decided',
    agent String COMMENT 'The agent: as the score says it, else as its run does; empty while the run is unknown',
    run_known Bool COMMENT 'Whether any event about the run has arrived',
    version String COMMENT 'The agent''s version, from the run',
    status String COMMENT 'Where the run stands',
    run_started_at Nullable(DateTime64(6, 'UTC')) COMMENT 'When the run started; NULL where unknown',
    session_id String COMMENT 'The session of the run',
    origin String COMMENT 'live, or replay for runs that production statistics leave out',
    attributes Map(String, String) COMMENT 'The run''s free facts, over those that the score carries',
    exposures Array(Tuple(experiment String, variant String, phase String, probability Float64)) COMMENT 'The experiments of its run, by experiment: as the score carries the experiment, else as it was recorded for the run; a probability of 0 is unknown'
)
AS
SELECT
    score.score_id AS score_id,
    score.run_id AS run_id,
    score.step_id AS step_id,
    score.name AS name,
    assumeNotNull(score.value) AS value,
    score.kind AS kind,
    if(score.reason = 'given', greatest(ifNull(given.facts, 1), 1), score.revision) AS revision,
    score.reason AS reason,
    score.late AS late,
    score.subject AS subject,
    score.wait_id AS wait_id,
    score.outcome_id AS outcome_id,
    score.occurred_at AS occurred_at,
    score.decided_at AS decided_at,
    if(score.agent != '', toString(score.agent), ifNull(run.agent, '')) AS agent,
    toBool(ifNull(run.run_id, '') != '') AS run_known,
    ifNull(run.version, '') AS version,
    ifNull(run.status, '') AS status,
    run.started_at AS run_started_at,
    ifNull(run.session_id, '') AS session_id,
    if(ifNull(run.origin, '') = '', 'live', ifNull(run.origin, '')) AS origin,
    mapUpdate(CAST(score.attributes, 'Map(String, String)'), run.attributes) AS attributes,
    CAST(
        arraySort(
            arrayConcat(
                score.exposures,
                arrayFilter(
                    recorded -> NOT arrayExists(carried -> carried.experiment = recorded.1, score.exposures),
                    exposed.exposures
                )
            )
        ),
        'Array(Tuple(experiment String, variant String, phase String, probability Float64))'
    ) AS exposures
FROM
(
    SELECT told.* EXCEPT run_id, if(ifNull(alias.known_as, '') = '', told.run_id, ifNull(alias.known_as, '')) AS run_id
    FROM
    (
        SELECT * FROM raw_latest_by_kind FINAL
        WHERE value IS NOT NULL AND (name, as_kind) IN (SELECT name, kind FROM score_kinds)
    ) AS told
    LEFT ANY JOIN (SELECT run_id, known_as FROM raw_run_aliases FINAL) AS alias ON told.run_id = alias.run_id
) AS score
LEFT ANY JOIN runs AS run ON score.run_id = run.run_id
LEFT ANY JOIN
(
    SELECT
        if(ifNull(alias.known_as, '') = '', told.run_id, ifNull(alias.known_as, '')) AS run_id,
        arraySort(groupArray((toString(experiment), toString(variant), toString(phase), ifNull(probability, 0)))) AS exposures
    FROM exposures AS told
    LEFT ANY JOIN (SELECT run_id, known_as FROM raw_run_aliases FINAL) AS alias ON told.run_id = alias.run_id
    GROUP BY run_id
) AS exposed ON score.run_id = exposed.run_id
LEFT ANY JOIN
(
    SELECT score_id, uniqExact(fact_id) AS facts
    FROM raw_scores
    WHERE score_id IN (SELECT score_id FROM raw_scores WHERE reason = 'given')
        AND (kind = '' OR (name, kind) IN (SELECT name, kind FROM score_kinds))
    GROUP BY score_id
    HAVING facts > 1
) AS given ON score.score_id = given.score_id
COMMENT 'The latest revision of each score that has a value of its name''s kind, with its run: agent, exposures and attributes that the score does not carry come from there, whenever they arrive';

CREATE OR REPLACE VIEW pending
(
    wait_id String COMMENT 'The wait, unique for its subject',
    run_id String COMMENT 'The run that asks',
    step_id Nullable(String) COMMENT 'The step that asks',
    name LowCardinality(String) COMMENT 'The name of the score',
    subject String COMMENT 'What it waits for news about',
    agent String COMMENT 'The agent: as the wait says it, else as its run does',
    mode LowCardinality(String) COMMENT 'first, last, all, count or sum',
    opened_at DateTime64(6, 'UTC') COMMENT 'When it began',
    deadline DateTime64(6, 'UTC') COMMENT 'Until when outcomes count',
    overdue Bool COMMENT 'Whether the deadline has passed: it is judged once all that was written before it has been read',
    attributes Map(String, String) COMMENT 'The run''s free facts, over those that the wait carries'
)
AS
SELECT
    wait.wait_id AS wait_id,
    wait.run_id AS run_id,
    wait.step_id AS step_id,
    wait.name AS name,
    wait.subject AS subject,
    if(wait.agent != '', toString(wait.agent), ifNull(run.agent, '')) AS agent,
    wait.mode AS mode,
    wait.opened_at AS opened_at,
    wait.deadline AS deadline,
    toBool(wait.deadline < now64(6)) AS overdue,
    mapUpdate(CAST(wait.attributes, 'Map(String, String)'), run.attributes) AS attributes
FROM
(
    SELECT told.* EXCEPT run_id, if(ifNull(alias.known_as, '') = '', told.run_id, ifNull(alias.known_as, '')) AS run_id
    FROM waits AS told
    LEFT ANY JOIN (SELECT run_id, known_as FROM raw_run_aliases FINAL) AS alias ON told.run_id = alias.run_id
    WHERE reply_to = '' AND cancelled_at IS NULL
        AND
        (
            (subject, wait_id) NOT IN
            (
                SELECT subject, wait_id FROM raw_latest_by_kind FINAL
                WHERE wait_id != '' AND (value IS NOT NULL OR reason = 'expired')
            )
            OR (mode IN ('last', 'count', 'sum') AND deadline >= now64(6))
        )
) AS wait
LEFT ANY JOIN runs AS run ON wait.run_id = run.run_id
COMMENT 'Waits without a final answer: no score yet, or one that later outcomes may still revise before the deadline. Those of follow-ups are in current_followups';

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
FROM
(
    SELECT told.* EXCEPT run_id, if(ifNull(alias.known_as, '') = '', told.run_id, ifNull(alias.known_as, '')) AS run_id
    FROM (SELECT * FROM raw_deferrals FINAL) AS told
    LEFT ANY JOIN (SELECT run_id, known_as FROM raw_run_aliases FINAL) AS alias ON told.run_id = alias.run_id
) AS deferral
LEFT ANY JOIN (SELECT followup_id, status, waiting_for FROM raw_followups FINAL) AS followup
    ON deferral.followup_id = followup.followup_id
LEFT ANY JOIN runs AS run ON deferral.run_id = run.run_id
WHERE followup.status IN ('', 'running', 'waiting', 'failed', 'undeployed')
COMMENT 'Follow-ups that are not done: what their code would score is still to come';
