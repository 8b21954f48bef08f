// Written by `make docs` from the schemas of the events: edit those instead.

/** JSON, whatever is in it. */
export type Json = unknown;

/** What is known of a run so far. Several events about one run merge, in any order. For each field the event with the latest `occurred_at` counts, attributes one by one; a final status is never overwritten by `running`. */
export interface RunEvent {
  /** Version of this event's shape; 1 where it's absent. */
  schema_version?: number;
  /** The run's id; the record's key. */
  run_id: string;
  /** The agent's name. */
  agent?: string | null;
  /** The agent's version. */
  version?: string | null;
  /** Where the run stands. */
  status?: "running" | "completed" | "failed" | "cancelled" | null;
  /** When it started. */
  started_at?: string | null;
  /** When it ended. */
  ended_at?: string | null;
  /** When this fact came about; `ended_at`, `started_at` or the record's timestamp where absent. */
  occurred_at?: string | null;
  /** The conversation or session that it belongs to. */
  session_id?: string | null;
  /** The run that started this one. */
  parent_run_id?: string | null;
  /** `replay` keeps a run out of production statistics. */
  origin?: "live" | "replay";
  /** What went wrong, where the status is `failed`. */
  error?: string | null;
  /** What the agent was given; opt-in. */
  input?: string | null;
  /** What the agent gave; opt-in. */
  output?: string | null;
  /** Free facts, such as the language. */
  attributes?: Record<string, Json>;
}

/** One model call, tool call, retrieval or function inside a run; sent once, when it's done. */
export interface StepEvent {
  /** Version of this event's shape; 1 where it's absent. */
  schema_version?: number;
  /** The run that it belongs to; the record's key. */
  run_id: string;
  /** The step's id, unique in its run. */
  step_id: string;
  /** The step around it. */
  parent_step_id?: string | null;
  /** What it is called. */
  name: string;
  /** `model`, `tool`, `retrieval`, `function` or another word. */
  kind?: string;
  /** How it ended. */
  status?: "running" | "ok" | "error" | "cancelled";
  /** Which try this is, from 1. */
  attempt?: number;
  /** When it started. */
  started_at?: string | null;
  /** When it ended. */
  ended_at?: string | null;
  /** What was asked for, in OpenTelemetry's words: `chat`, `embeddings`, `execute_tool`. */
  operation?: string | null;
  /** Who serves the model. */
  provider?: string | null;
  /** The model that answered. */
  model?: string | null;
  /** The model that was asked for. */
  request_model?: string | null;
  /** Tokens read, cached ones included. */
  input_tokens?: number | null;
  /** Tokens written. */
  output_tokens?: number | null;
  /** Tokens read from a cache. */
  cached_input_tokens?: number | null;
  /** Tokens read and written to a cache. */
  cache_write_input_tokens?: number | null;
  /** Tokens written while thinking. */
  reasoning_output_tokens?: number | null;
  /** Seconds until the first piece of a streamed answer. */
  first_chunk_seconds?: number | null;
  /** Why the model stopped: `stop`. */
  finish_reasons?: string[];
  /** The tool that was called. */
  tool_name?: string | null;
  /** The model's id of that call. */
  tool_call_id?: string | null;
  /** The name of the prompt that was used. */
  prompt_name?: string | null;
  /** The version of that prompt. */
  prompt_version?: string | null;
  /** What it cost, in US dollars; absent where unknown. */
  cost_usd?: number | null;
  /** `given`: somebody said the cost. `span`: its instrumentation said it. `table`: it follows from a table of prices. */
  cost_source?: "given" | "span" | "table" | null;
  /** The provider's id of its answer: two steps of a run with the same one tell of one model call, whose usage counts once. */
  response_id?: string | null;
  /** What went wrong, where the status is `error`. */
  error?: string | null;
  /** What kind of error that is, such as `TimeoutError`. */
  error_type?: string | null;
  /** What it was given; opt-in. */
  input?: string | null;
  /** What it gave; opt-in. */
  output?: string | null;
  /** Free facts. */
  attributes?: Record<string, Json>;
}

/** An event in the world: a CloudEvent 1.0 whose `subject` is the correlation key. `type` and `subject` are the least. Unlike in plain CloudEvents, `id`, `source` and `time` may be absent: `id` then is made from the record's topic, partition and offset, and which topic of that name it is, `time` from its timestamp. In binary mode the attributes are record headers (`ce_type`, `ce_subject`, …) and the value is the data. Two events with the same `source` and `id` about one subject are one outcome, at the earlier of their times. A `time` written in whole seconds, such as `05:00:00Z`, covers that second, one in whole milliseconds that millisecond. */
export interface OutcomeEvent {
  /** CloudEvents version. */
  specversion?: "1.0";
  /** What happened, such as `pr.closed`. */
  type: string;
  /** What it happened to, such as `pr:acme/web#12`; the record's key. */
  subject: string;
  /** Unique for its source. */
  id?: string | null;
  /** Who tells it. */
  source?: string;
  /** When it happened. */
  time?: string | null;
  /** Facts about it, as JSON. */
  data?: Json;
  /** Its place among the events of one time, as CloudEvents' extension has it: compared as a number where `sequencetype` is `Integer`, else as text. */
  sequence?: number | string | null;
  /** `Integer` where `sequence` is a number. */
  sequencetype?: string | null;
}

/** An event that was heard before: of the same types, only what follows it in the order of events counts. The order is by `time`, then `sequence` (none, numbers, texts), then the least timestamp of the records that told the event, then `id` and `source`. */
export interface After {
  /** The types that were listened to when the event was heard. */
  types: string[];
  /** When the event happened. */
  time: string;
  /** The event's id. */
  id: string;
  /** Who told it. */
  source?: string;
  /** Its place among the events of one time, where its source says so. */
  sequence?: number | string | null;
  /** The least timestamp of the records that told it. */
  recorded_at?: string | null;
}

/** A variant of an experiment, as waits and scores carry it. */
export interface Assignment {
  /** The experiment. */
  experiment: string;
  /** The variant that the run was given. */
  variant: string;
  /** The experiment's version at that time. */
  phase?: string;
  /** How likely that choice was. */
  probability?: number;
}

/** What an outcome of one type says. */
export interface Match {
  /** A constant, or a path into the outcome that gives a number or a boolean. */
  score?: string | boolean | number | null;
  /** Counts only the outcomes for which this path gives true. */
  when?: string | null;
  /** The score is multiplied by this number: -1 takes refunds from a sum of payments. */
  times?: boolean | number | null;
}

/** How outcomes become a score. Modes: `first` and `last` take the earliest and the latest matching outcome of the window by the outcome's own time (ties by `sequence`, by the record's timestamp, by id); `all` is decided once every listed type came, with the least of their scores (for booleans: whether all were true); `count` counts the matching outcomes and `sum` adds their scores. `last`, `count` and `sum` give the score as it stands and revise it until the deadline. */
export interface Rule {
  /** Outcome types and what each of them says. */
  on: Record<string, Match>;
  /** How long after `opened_at` outcomes count (ISO 8601, such as `P14D`). */
  within: string;
  /** The score at the deadline where nothing decided: a value, or null for no score, recorded as expired. For `count` and `sum` it is 0 where absent. */
  else?: boolean | number | null;
  /** How several outcomes become one score. */
  mode?: "first" | "last" | "all" | "count" | "sum";
}

/** A pending scorer: run `run_id` asks what becomes of `subject`. Outcomes count from `since` to `opened_at` + `rule.within`, both included, by their own time; and so do those that lie before `since` by no more than `tolerance`, for clocks that differ. An instant written in whole seconds covers that second, here and in outcomes: what it covers has to meet the window. Of two waits with one id about one subject the one opened first counts: to ask again, use another id. A wait can be cancelled (see WaitCancellation), and opened again by a higher `revision`. */
export interface WaitEvent {
  /** Version of this event's shape; 1 where it's absent. */
  schema_version?: number;
  /** Unique for the subject; made from run, step, name and subject where absent. */
  wait_id?: string | null;
  /** The run that asks. */
  run_id: string;
  /** The step that asks, where the score belongs to a step. */
  step_id?: string | null;
  /** The name of the score. */
  name: string;
  /** What it waits for news about; the record's key. */
  subject: string;
  /** When the wait began; the record's timestamp where absent. */
  opened_at?: string | null;
  /** From when outcomes count; `opened_at` where absent. */
  since?: string | null;
  /** By how much outcomes may lie before `since` (ISO 8601, such as `PT1S` or `PT0S`); the setting `UPSHOT_SINCE_TOLERANCE` where absent. */
  tolerance?: string | null;
  /** Events that were heard before: of their types only what follows them counts. */
  after?: After[];
  /** How outcomes become the score. */
  rule: Rule;
  /** Of two waits with one id about one subject that with the higher revision counts; it opens again what was cancelled with a lower one. */
  revision?: number;
  /** The run's agent; the score inherits it. */
  agent?: string | null;
  /** The experiments that the run takes part in; the score inherits them. */
  exposures?: Assignment[];
  /** Facts that the score inherits. */
  attributes?: Record<string, Json>;
  /** The follow-up that asks: it's told what came, in topic `resumptions`, and there's no score. */
  reply_to?: string | null;
}

/** A run was given a variant of an experiment. */
export interface ExposureEvent {
  /** Version of this event's shape; 1 where it's absent. */
  schema_version?: number;
  /** Made from run and experiment where absent. */
  exposure_id?: string | null;
  /** The run; the record's key. */
  run_id: string;
  /** The experiment. */
  experiment: string;
  /** The variant that the run was given. */
  variant: string;
  /** The experiment's version at that time. */
  phase?: string;
  /** How likely that choice was. */
  probability?: number;
  /** What was randomised: a user, a ticket; the run where absent. */
  unit?: string | null;
  /** How the choice was made. */
  strategy?: string;
  /** When; the record's timestamp where absent. */
  exposed_at?: string | null;
}

/** One revision of a score; the latest revision with a value is the current one. A score given directly needs `run_id`, `name` and `value` alone. It has the identity (run, step, name, key): given again, the later one by `decided_at` counts and the earlier stays as history. */
export interface ScoreEvent {
  /** Version of this event's shape; 1 where it's absent. */
  schema_version?: number;
  /** What the revisions share; made from what the score is about. */
  score_id?: string | null;
  /** The run that it's about; the record's key. */
  run_id: string;
  /** The step that it's about, if not the whole run. */
  step_id?: string | null;
  /** What is scored, such as `merged`. */
  name: string;
  /** A boolean or a finite number; null where the wait expired. */
  value?: boolean | number | null;
  /** Tells apart scores of one name on one run; repeats with one key are one score. */
  key?: string | null;
  /** From 1, one more for each change of mind. */
  revision?: number;
  /** The revision that this one replaces. */
  supersedes?: number | null;
  /** `outcome`: outcomes decided. `deadline`: nothing came, the rule's `else` counts. `expired`: nothing came and the rule gives no score. `given`: somebody said it. `reopened`: what decided it doesn't count any more, the wait is open again. `followup`: a follow-up gave it before it had heard of anything. `rescored`: another version of the scorer says so. `cancelled`: the wait or the follow-up was withdrawn. */
  reason?: "outcome" | "deadline" | "expired" | "given" | "reopened" | "followup" | "rescored" | "cancelled";
  /** Whether the outcome arrived after the deadline was judged. */
  late?: boolean;
  /** The subject of the wait that it answers. */
  subject?: string | null;
  /** The wait that it answers. */
  wait_id?: string | null;
  /** The outcome that decided it. */
  outcome_id?: string | null;
  /** When what decided it happened: the outcome's time or the deadline. */
  occurred_at?: string | null;
  /** When it was decided; the record's timestamp where absent. */
  decided_at?: string | null;
  /** The run's agent. */
  agent?: string | null;
  /** Who gave it. */
  source?: string | null;
  /** Why, in words. */
  comment?: string | null;
  /** The experiments of its run. */
  exposures?: Assignment[];
  /** Free facts. */
  attributes?: Record<string, Json>;
}

/** Run `run_id` leaves work to the code `scorer`: a follow-up. A worker that has the code runs it, each time that something new is known of what it waits for. Of two deferrals with one id the one deferred first counts. With `cancelled_at` the deferral is taken back: it withdraws what `deferred_by` said up to that `revision`. A follow-up that nobody wants any more gives no scores. */
export interface DeferralEvent {
  /** Version of this event's shape; 1 where it's absent. */
  schema_version?: number;
  /** Made from run, step, scorer, version and key where absent; the record's key. */
  followup_id?: string | null;
  /** The run that it's about. */
  run_id: string;
  /** The step that it's about, if not the whole run. */
  step_id?: string | null;
  /** The code, by the name that it's registered under. */
  scorer: string;
  /** Which version of that code. */
  version?: string;
  /** What the code is given, as JSON. */
  data?: Json;
  /** When; the record's timestamp where absent. */
  deferred_at?: string | null;
  /** From when events count that the code waits for, such as the run's start; `deferred_at` where absent. */
  since?: string | null;
  /** Tells apart deferrals of one scorer on one run; repeats with one key are one follow-up. */
  key?: string | null;
  /** The follow-up whose code defers it; absent where another program does. */
  deferred_by?: string | null;
  /** One more each time that `deferred_by` says something else about this follow-up: of each the highest counts, and of two equal ones the one that cancels. */
  revision?: number;
  /** Set where the deferral is taken back: since when it isn't wanted any more. */
  cancelled_at?: string | null;
  /** The run's agent; scores inherit it. */
  agent?: string | null;
  /** The experiments that the run takes part in; scores inherit them. */
  exposures?: Assignment[];
  /** Facts that scores inherit. */
  attributes?: Record<string, Json>;
}

/** A score crossed a line. */
export interface AlertEvent {
  /** Version of this event's shape; 1 where it's absent. */
  schema_version?: number;
  /** Made from the alert's name and the score's revision. */
  alert_id: string;
  /** Which line was crossed. */
  name: string;
  /** The run that it's about; the record's key. */
  run_id: string;
  /** The score that crossed it. */
  score_id: string;
  /** Which revision of it. */
  revision?: number;
  /** The score's value. */
  value: boolean | number;
  /** What to tell people. */
  message?: string;
  /** When. */
  raised_at: string;
}

/** An experiment as it stands; the latest record of a key counts. */
export interface ExperimentEvent {
  /** Version of this event's shape; 1 where it's absent. */
  schema_version?: number;
  /** The experiment; the record's key. */
  experiment: string;
  /** A change of weights opens a new phase. */
  phase?: string;
  /** How a run gets its variant. */
  strategy?: "fixed" | "weighted" | "bucket" | "custom" | "adaptive";
  /** Variants and their weights. */
  variants: Record<string, number>;
  /** Why it was changed. */
  reason?: string;
  /** When it was changed. */
  changed_at: string;
}

export type Mode = NonNullable<Rule["mode"]>;

/** The event that each topic takes. */
export interface Topics {
  runs: RunEvent;
  steps: StepEvent;
  outcomes: OutcomeEvent;
  waits: WaitEvent;
  exposures: ExposureEvent;
  scores: ScoreEvent;
  deferrals: DeferralEvent;
  alerts: AlertEvent;
  experiments: ExperimentEvent;
}
