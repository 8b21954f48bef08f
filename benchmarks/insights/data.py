"""The data set: runs over 180 days with steps, waits, outcomes, scores and exposures, as the SDK makes them.

Everything is a function of a run's number, so that every machine has the same rows. ClickHouse makes the rows
itself, `CHUNK` runs at a time.
"""

from __future__ import annotations

from collections.abc import Callable

from clickhouse_connect.driver.client import Client

CHUNK = 250_000
DAYS = 180
#: When the last run starts: 2026-11-28T12:00:00Z in microseconds.
LAST = 1_795_867_200_000_000
_SPAN = DAYS * 86_400_000_000
EXPERIMENT = "prompt-7"
#: The run with number 77.
STORY_OF = "bcec78644f7226bb80e85623b833445d"

_RUN = """
    WITH
        sipHash64(number, 1) AS h1, sipHash64(number, 2) AS h2, sipHash64(number, 3) AS h3,
        toInt64({first_at}) + toInt64(number) * {gap} AS began,
        toInt64(2000000 + 60000000 * pow(h1 / 18446744073709551615, 4)) AS took,
        lower(hex(sipHash128('run', number))) AS this_run,
        'agent-' || toString(h2 % 12) AS agent_name,
        ['gpt-5', 'gpt-5-mini', 'claude-sonnet-4-5', 'claude-opus-4-5', 'gemini-3-pro',
        'mistral-large'][h3 % 6 + 1] AS model_name,
        ['free', 'team', 'enterprise'][intDiv(h3, 6) % 3 + 1] AS segment,
        ['en', 'de', 'fr', 'es', 'ja', 'pt', 'it', 'nl'][intDiv(h3, 18) % 8 + 1] AS language,
        'customer-' || toString(intDiv(h2, 12) % 500) AS customer,
        h1 % 100 < 30 AS exposed,
        if(exposed, [('prompt-7', if(intDiv(h1, 100) % 2 = 0, 'control', 'short'), '1', 0.5)],
        []) AS carried,
        map('segment', segment, 'language', language, 'customer', customer) AS facts,
        'pr:acme/web#' || toString(number) AS topic_of,
        lower(hex(sipHash128('wait', number))) AS wait,
        began + took + 600000000 + toInt64(intDiv(h2, 6000) % 1209600000000) AS answered,
        intDiv(h1, 20000) % 100 < 85 AS has_answer,
        intDiv(h2, 77) % 100 < 50 + 4 * (h3 % 6) + 5 * (intDiv(h3, 6) % 3) AS good,
        lower(hex(sipHash128('score', number))) AS decided_id,
        lower(hex(sipHash128('given', number))) AS given_id
"""

_TABLES = {
    "raw_runs": """
SELECT
    this_run AS run_id,
    tuple(fromUnixTimestamp64Micro(began + took, 'UTC'), agent_name) AS agent,
    tuple(fromUnixTimestamp64Micro(began + took, 'UTC'), 'v' || toString(intDiv(number,
    {per_version}))) AS version,
    tuple(1, fromUnixTimestamp64Micro(began + took, 'UTC'), multiIf(h2 % 100 < 5, 'failed', h2 % 100 = 5,
    'cancelled', 'completed')) AS status,
    tuple(fromUnixTimestamp64Micro(began, 'UTC'), fromUnixTimestamp64Micro(began, 'UTC')) AS started_at,
    tuple(fromUnixTimestamp64Micro(began + took, 'UTC'), fromUnixTimestamp64Micro(began + took,
    'UTC')) AS ended_at,
    tuple(fromUnixTimestamp64Micro(began, 'UTC'), 'session-' || toString(intDiv(number, 5))) AS session_id,
    mapApply((name, value) -> (name, tuple(fromUnixTimestamp64Micro(began, 'UTC'), value)),
    facts) AS attributes,
    fromUnixTimestamp64Micro(began + 1000, 'UTC') AS recorded_at
FROM numbers({start}, {count})""",
    "raw_steps": """
SELECT
    this_run AS run_id, lower(hex(sipHash64(number, 'step', place))) AS step_id, 1 AS attempt,
    CAST(NULL, 'Nullable(String)') AS parent_step_id,
    if(place = 2, 'search', 'answer') AS name, if(place = 2, 'tool', 'model') AS kind, 'ok' AS status,
    fromUnixTimestamp64Micro(began + intDiv(took * place, 4), 'UTC') AS started_at,
    fromUnixTimestamp64Micro(began + intDiv(took * (place + 1), 4), 'UTC') AS ended_at,
    if(place = 2, '', 'provider') AS provider, if(place = 2, '', model_name) AS model,
    if(place = 2, NULL, toUInt64(500 + h2 % 3000)) AS input_tokens,
    if(place = 2, NULL, toUInt64(50 + h3 % 800)) AS output_tokens,
    if(place = 2, NULL, round((500 + h2 % 3000) * 3e-6 + (50 + h3 % 800) * 15e-6, 6)) AS cost_usd,
    if(place = 2, '', 'chat') AS operation, if(place = 2, '', model_name) AS request_model,
    if(place = 2, '', 'table') AS cost_source,
    fromUnixTimestamp64Micro(began + took + 1000, 'UTC') AS recorded_at,
    bitOr(bitShiftLeft(toUInt128(1), 126), bitShiftLeft(toUInt128(began + took), 64)) + sipHash64(number,
    place) AS row_version
FROM (SELECT number, arrayJoin([1, 2, 3]) AS place FROM numbers({start}, {count}))""",
    "raw_exposures": """
SELECT
    this_run AS run_id, lower(hex(sipHash128(number, 'exposure'))) AS exposure_id,
    carried[1].1 AS experiment,
    carried[1].2 AS variant, carried[1].3 AS phase, carried[1].4 AS probability, this_run AS unit,
    'random' AS strategy,
    fromUnixTimestamp64Micro(began + 500, 'UTC') AS exposed_at, fromUnixTimestamp64Micro(began + 1500,
    'UTC') AS recorded_at,
    bitShiftLeft(toUInt128(4611686018427387904 - began), 64) + sipHash64(number) AS row_version
FROM numbers({start}, {count})
WHERE exposed""",
    "raw_waits": """
SELECT
    topic_of AS subject, wait AS wait_id, this_run AS run_id, 'merged' AS name, agent_name AS agent,
    'first' AS mode,
    ['pr.merged', 'pr.closed'] AS outcome_types,
    '{{"on":["pr.merged","pr.closed"],"value":{{"==":["type","pr.merged"]}},"mode":"first"}}' AS rule,
    fromUnixTimestamp64Micro(began + took, 'UTC') AS opened_at, fromUnixTimestamp64Micro(began,
    'UTC') AS since,
    fromUnixTimestamp64Micro(began + took + 17280000000000, 'UTC') AS deadline, carried AS exposures,
    facts AS attributes, fromUnixTimestamp64Micro(began + took + 2000, 'UTC') AS recorded_at,
    bitShiftLeft(toUInt128(4611686018427387904 - (began + took)), 64) + sipHash64(number,
    'w') AS row_version
FROM numbers({start}, {count})""",
    "raw_outcomes": """
SELECT
    topic_of AS subject, 'https://git.example' AS source, 'o' || toString(number) AS id,
    if(good, 'pr.merged', 'pr.closed') AS type, fromUnixTimestamp64Micro(answered, 'UTC') AS time,
    '{{"number":' || toString(number) || '}}' AS data, 'outcomes' AS topic, h1 % 8 AS partition,
    number AS offset,
    fromUnixTimestamp64Micro(answered + 1000, 'UTC') AS recorded_at,
    bitShiftLeft(toUInt128(4611686018427387904 - answered), 64) + sipHash64(number, 'o') AS row_version
FROM numbers({start}, {count})
WHERE has_answer""",
    "raw_scores": """
SELECT
    decided_id AS score_id, lower(hex(sipHash128(number, 'fact', nth))) AS fact_id, this_run AS run_id,
    'merged' AS name,
    toFloat64(if(nth = 2, NOT good, good)) AS value, 'boolean' AS kind, '' AS key, nth AS revision,
    if(nth = 2, toNullable(toUInt64(1)), NULL) AS supersedes, 'outcome' AS reason, nth = 2 AS late,
    topic_of AS subject,
    wait AS wait_id, 'o' || toString(number) AS outcome_id, toNullable(fromUnixTimestamp64Micro(answered,
    'UTC')) AS occurred_at,
    fromUnixTimestamp64Micro(answered + 50000 * nth, 'UTC') AS decided_at, agent_name AS agent,
    '' AS source,
    carried AS exposures, facts AS attributes, fromUnixTimestamp64Micro(answered + 51000 * nth,
    'UTC') AS recorded_at, number AS offset,
    bitShiftLeft(toUInt128(answered + 50000 * nth), 64) + sipHash64(number, nth) AS row_version,
    bitShiftLeft(toUInt256(nth), 128) + bitShiftLeft(toUInt256(answered), 64) + sipHash64(number,
    nth) AS precedence
FROM (SELECT number, arrayJoin(if(sipHash64(number, 9) % 20 = 0, [1, 2], [1])) AS nth FROM numbers({start},
    {count}))
WHERE has_answer
UNION ALL
SELECT
    given_id AS score_id, lower(hex(sipHash128(number, 'fact', 'given'))) AS fact_id, this_run AS run_id,
    'quality' AS name,
    round(h2 / 18446744073709551615, 3) AS value, 'number' AS kind, '' AS key, 1 AS revision,
    CAST(NULL, 'Nullable(UInt64)') AS supersedes, 'given' AS reason, false AS late, '' AS subject,
    '' AS wait_id,
    '' AS outcome_id, CAST(NULL, 'Nullable(DateTime64(6, \\'UTC\\'))') AS occurred_at,
    fromUnixTimestamp64Micro(began + took + 5000, 'UTC') AS decided_at, agent_name AS agent,
    'judge' AS source,
    carried AS exposures, facts AS attributes, fromUnixTimestamp64Micro(began + took + 6000,
    'UTC') AS recorded_at,
    number AS offset, bitShiftLeft(toUInt128(began + took), 64) + sipHash64(number, 'g') AS row_version,
    bitShiftLeft(toUInt256(1), 255) + bitShiftLeft(toUInt256(began + took), 128) + sipHash64(number,
    'g') AS precedence
FROM numbers({start}, {count})
WHERE h3 % 100 < 35""",
}


def fill(
    client: Client, runs: int, progress: Callable[[int], None] = lambda done: None, first: int = 0
) -> None:
    """Insert the raw rows of runs `first` up to `runs`; to insert them again changes nothing."""
    numbers = {"first_at": LAST - _SPAN, "gap": max(1, _SPAN // runs), "per_version": max(1, runs // 6)}
    for start in range(first, runs, CHUNK):
        for table, select in _TABLES.items():
            client.command(
                _insert(table, _with(select).format(start=start, count=min(CHUNK, runs - start), **numbers))
            )
        progress(min(runs, start + CHUNK))


def _with(select: str) -> str:
    return "\nUNION ALL\n".join(_RUN + part for part in select.split("\nUNION ALL\n"))


def _insert(table: str, select: str) -> str:
    return f"INSERT INTO {table} ({', '.join(_columns(select))}) {select}"


def _columns(select: str) -> list[str]:
    """The names given by the first SELECT, in their order."""
    body = select[select.index("SELECT\n") + 7 :].split("\nUNION ALL\n")[0]
    names = []
    for item in _items(body[: body.rindex("\nFROM ")]):
        names.append(item.rpartition(" AS ")[2].strip())
    return names


def _items(body: str) -> list[str]:
    """A list of expressions, parted at the commas that stand in no bracket and no text."""
    items, depth, quoted, current = [], 0, False, ""
    for letter in body:
        quoted ^= letter == "'"
        depth += 0 if quoted else (letter in "([{") - (letter in ")]}")
        if letter == "," and not depth and not quoted:
            items.append(current)
            current = ""
        else:
            current += letter
    return [*items, current]


__all__ = ["CHUNK", "DAYS", "EXPERIMENT", "LAST", "STORY_OF", "fill"]
