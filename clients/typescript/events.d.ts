// Written by `make docs` from the schemas of the events: edit those instead.

/** JSON, whatever is in it. */
export type Json = unknown;

/** The known facts of a run so far. Several events about one run merge, in any order. For each field the event with the latest `occurred_at` counts, attributes one by one; a final status is never overwritten by `running`. */
export interface RunEvent {
  /** Version of this event's shape; 1 where absent. */
  schema_version?: number;
  /** The run's id; the record's key. */
  run_id: string;
  /** The agent's name. */
  agent?: string | null;
  /** The agent's version. */
  version?: string | null;
  /** The run's status. */
  status?: "running" | "completed" | "failed" | "cancelled" | null;
  /** When the run started. */
  started_at?: string | null;
  /** When the run ended. */
  ended_at?: string | null;
  /** When this fact came about; `ended_at`, `started_at` or the record's timestamp where absent. */
  occurred_at?: string | null;
  /** The run's conversation or session. */
  session_id?: string | null;
  /** The run that started this one. */
  parent_run_id?: string | null;
  /** `replay` keeps a run out of production statistics. */
  origin?: "live" | "replay";
  /** The error, where the status is `failed`. */
  error?: string | null;
  /** The agent's input; opt-in. */
  input?: string | null;
  /** The agent's output; opt-in. */
  output?: string | null;
  /** Free facts, such as the language. */
  attributes?: Record<string, Json>;
}

/** One model call, tool call, retrieval or function inside a run; sent once, after its end. */
export interface StepEvent {
  /** Version of this event's shape; 1 where absent. */
  schema_version?: number;
  /** The step's run; the record's key. */
  run_id: string;
  /** The step's id, unique in its run. */
  step_id: string;
  /** The step around it. */
  parent_step_id?: string | null;
  /** The step's name. */
  name: string;
  /** `model`, `tool`, `retrieval`, `function` or another word. */
  kind?: string;
  /** The step's status. */
  status?: "running" | "ok" | "error" | "cancelled";
  /** The number of the try, from 1. */
  attempt?: number;
  /** When the step started. */
  started_at?: string | null;
  /** When the step ended. */
  ended_at?: string | null;
  /** The operation, in OpenTelemetry's words: `chat`, `embeddings`, `execute_tool`. */
  operation?: string | null;
  /** The provider serving the model. */
  provider?: string | null;
  /** The model that answered. */
  model?: string | null;
  /** The requested model. */
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
  /** The name of the used prompt. */
  prompt_name?: string | null;
  /** The version of that prompt. */
  prompt_version?: string | null;
  /** The cost of the step, in US dollars; absent where unknown. */
  cost_usd?: number | null;
  /** `given`: somebody stated the cost. `span`: the step's instrumentation stated the cost. `table`: the cost follows from a table of prices. */
  cost_source?: "given" | "span" | "table" | null;
  /** The provider's id of its answer: two steps of a run with the same id report one model call, whose usage counts once. */
  response_id?: string | null;
  /** The error, where the status is `error`. */
  error?: string | null;
  /** The kind of error, such as `TimeoutError`. */
  error_type?: string | null;
  /** The step's input; opt-in. */
  input?: string | null;
  /** The step's output; opt-in. */
  output?: string | null;
  /** Free facts. */
  attributes?: Record<string, Json>;
}

/** An event about a subject: a CloudEvent 1.0 whose `subject` is the correlation key. `type` and `subject` are the least. Unlike in plain CloudEvents, `id`, `source` and `time` may be absent: `id` then is made from the record's topic, partition and offset, and which topic of that name it is, `time` from its timestamp. In binary mode the attributes are record headers (`ce_type`, `ce_subject`, …) and the value is the data. Two events with the same `source` and `id` about one subject are one outcome, at the earlier of their times. A `time` written in whole seconds, such as `05:00:00Z`, covers that second, one in whole milliseconds that millisecond. */
export interface OutcomeEvent {
  /** CloudEvents version. */
  specversion?: "1.0";
  /** The type of event, such as `pr.closed`. */
  type: string;
  /** The subject of the event, such as `pr:acme/web#12`; the record's key. */
  subject: string;
  /** Unique for its source. */
  id?: string | null;
  /** The system reporting the event. */
  source?: string;
  /** When the event happened. */
  time?: string | null;
  /** Facts about the event, as JSON. */
  data?: Json;
  /** The event's place among the events of one time, as in CloudEvents' extension: compared as a number where `sequencetype` is `Integer`, else as text. */
  sequence?: number | string | null;
  /** `Integer` where `sequence` is a number. */
  sequencetype?: string | null;
}

/** An event received before: of the same types, only events following in the order of events count. The order is by `time`, then `sequence` (none, numbers, texts), then the least timestamp of the event's records, then `id` and `source`. */
export interface After {
  /** The types that were listened to when the event was heard. */
  types: string[];
  /** When the event happened. */
  time: string;
  /** The event's id. */
  id: string;
  /** The system that reported the event. */
  source?: string;
  /** The event's place among the events of one time, where its source states the place. */
  sequence?: number | string | null;
  /** The least timestamp of the event's records. */
  recorded_at?: string | null;
}

/** A variant of an experiment, as waits and scores carry it. */
export interface Assignment {
  /** The experiment. */
  experiment: string;
  /** The variant given to the run. */
  variant: string;
  /** The experiment's version at that time. */
  phase?: string;
  /** How likely that choice was; null where nobody knows. */
  probability?: number | null;
}

/** The reading of outcomes of one type. */
export interface Match {
  /** A constant, or a path into the outcome to a number or a boolean. */
  score?: string | boolean | number | null;
  /** Counts only the outcomes for which this path gives true. */
  when?: string | null;
  /** The score is multiplied by this number: -1 takes refunds from a sum of payments. */
  times?: boolean | number | null;
}

/** How outcomes become a score. Modes: `first` and `last` take the earliest and the latest matching outcome of the window by the outcome's own time (ties by `sequence`, by the record's timestamp, by id); `all` is decided once every listed type came, with the least of their scores (for booleans: whether all were true); `count` counts the matching outcomes and `sum` adds their scores. `last`, `count` and `sum` give the present score and revise the score until the deadline. */
export interface Rule {
  /** Outcome types and the score of each. */
  on: Record<string, Match>;
  /** How long after `opened_at` outcomes count (ISO 8601, such as `P14D`). */
  within: string;
  /** The score at the deadline where nothing decided: a value, or null for no score, recorded as expired. Absent means 0 for `count` and `sum`. */
  else?: boolean | number | null;
  /** How several outcomes become one score. */
  mode?: "first" | "last" | "all" | "count" | "sum";
}

/** A pending scorer: run `run_id` waits for outcomes about `subject`. Outcomes count from `since` to `opened_at` + `rule.within`, both included, by their own time; outcomes before `since` by no more than `tolerance` count too, for clocks that differ. An instant written in whole seconds covers the whole second, here and in outcomes: the covered span has to meet the window. Of two waits with one id about one subject the wait opened first counts: to ask again, use another id. A wait can be cancelled (see WaitCancellation), and opened again by a higher `revision`. */
export interface WaitEvent {
  /** Version of this event's shape; 1 where absent. */
  schema_version?: number;
  /** Unique for the subject; made from run, step, name and subject where absent. */
  wait_id?: string | null;
  /** The run opening the wait. */
  run_id: string;
  /** The step opening the wait, where the score belongs to a step. */
  step_id?: string | null;
  /** The name of the score. */
  name: string;
  /** The awaited outcomes' subject; the record's key. */
  subject: string;
  /** When the wait began; the record's timestamp where absent. */
  opened_at?: string | null;
  /** From when outcomes count; `opened_at` where absent. */
  since?: string | null;
  /** How far outcomes may lie before `since` (ISO 8601, such as `PT1S` or `PT0S`); the setting `UPSHOT_SINCE_TOLERANCE` where absent. */
  tolerance?: string | null;
  /** Events received before: of their types only later events count. */
  after?: After[];
  /** How outcomes become the score. */
  rule: Rule;
  /** Of two waits with one id about one subject the higher revision counts; a wait cancelled with a lower revision is opened again. */
  revision?: number;
  /** The run's agent; the score inherits it. */
  agent?: string | null;
  /** The experiments of the run; the score inherits them. */
  exposures?: Assignment[];
  /** Facts inherited by the score. */
  attributes?: Record<string, Json>;
  /** The follow-up opening the wait: its answer goes to topic `resumptions`, and there's no score. */
  reply_to?: string | null;
}

/** A run was given a variant of an experiment. */
export interface ExposureEvent {
  /** Version of this event's shape; 1 where absent. */
  schema_version?: number;
  /** Made from run, experiment and variant where absent. */
  exposure_id?: string | null;
  /** The run; the record's key. */
  run_id: string;
  /** The experiment. */
  experiment: string;
  /** The variant given to the run. */
  variant: string;
  /** The experiment's version at that time. */
  phase?: string;
  /** How likely that choice was; null where nobody knows. */
  probability?: number | null;
  /** The randomised unit: a user, a ticket; the run where absent. */
  unit?: string | null;
  /** How the choice was made: a strategy of the registry, `external` for assignments made elsewhere, or `forced` by an override, which results leave out. */
  strategy?: string;
  /** Where the weights came from: `registry`, `cache` (its copy on disk) or `code`. */
  weights_from?: string | null;
  /** When the run was exposed; the record's timestamp where absent. */
  exposed_at?: string | null;
}

/** One revision of a score; the latest revision with a value is the current score. A score given directly needs `run_id`, `name` and `value` alone. Such a score has the identity (run, step, name, key): given again, the later by `decided_at` counts and the earlier stays as history. */
export interface ScoreEvent {
  /** Version of this event's shape; 1 where absent. */
  schema_version?: number;
  /** The id shared by all revisions; made from the score's subject matter. */
  score_id?: string | null;
  /** The run that the score is about; the record's key. */
  run_id: string;
  /** The step that the score is about, if not the whole run. */
  step_id?: string | null;
  /** The name of the score, such as `merged`. */
  name: string;
  /** A boolean or a finite number; null where the wait expired. */
  value?: boolean | number | null;
  /** Tells apart scores of one name on one run; repeats with one key are one score. */
  key?: string | null;
  /** From 1, one more for each change of the score. */
  revision?: number;
  /** The revision replaced by this revision. */
  supersedes?: number | null;
  /** `outcome`: outcomes decided. `deadline`: nothing came, the rule's `else` counts. `expired`: nothing came and the rule gives no score. `given`: somebody gave the score. `reopened`: the earlier decision doesn't count any more, the wait is open again. `followup`: a follow-up gave the score before receiving any answer. `rescored`: the score comes from another version of the scorer. `cancelled`: the wait or the follow-up was withdrawn. */
  reason?: "outcome" | "deadline" | "expired" | "given" | "reopened" | "followup" | "rescored" | "cancelled";
  /** Whether the outcome arrived after the deadline was evaluated. */
  late?: boolean;
  /** The subject of the answered wait. */
  subject?: string | null;
  /** The answered wait. */
  wait_id?: string | null;
  /** The deciding outcome. */
  outcome_id?: string | null;
  /** The time of the deciding outcome, or the deadline. */
  occurred_at?: string | null;
  /** When the decision was made; the record's timestamp where absent. */
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

/** Run `run_id` leaves work to the code `scorer`: a follow-up. A worker with the code runs the follow-up, each time that news of its waits arrives. Of two deferrals with one id the earlier counts. A deferral with `cancelled_at` is a cancellation: all statements of `deferred_by` about the follow-up up to that `revision` are withdrawn. A follow-up no longer wanted by anybody gives no scores. */
export interface DeferralEvent {
  /** Version of this event's shape; 1 where absent. */
  schema_version?: number;
  /** Made from run, step, scorer, version and key where absent; the record's key. */
  followup_id?: string | null;
  /** The run that the follow-up is about. */
  run_id: string;
  /** The step that the follow-up is about, if not the whole run. */
  step_id?: string | null;
  /** The code, by its registered name. */
  scorer: string;
  /** The version of that code. */
  version?: string;
  /** The data given to the code, as JSON. */
  data?: Json;
  /** When the work was deferred; the record's timestamp where absent. */
  deferred_at?: string | null;
  /** From when awaited events count, such as the run's start; `deferred_at` where absent. */
  since?: string | null;
  /** Tells apart deferrals of one scorer on one run; repeats with one key are one follow-up. */
  key?: string | null;
  /** The follow-up whose code defers the work; absent where another program does. */
  deferred_by?: string | null;
  /** One more each time that `deferred_by` changes its deferral of this follow-up: the highest counts, and of two equal ones the cancellation. */
  revision?: number;
  /** Set in a cancellation: since when the follow-up isn't wanted any more. */
  cancelled_at?: string | null;
  /** The run's agent; scores inherit it. */
  agent?: string | null;
  /** The experiments that the run takes part in; scores inherit them. */
  exposures?: Assignment[];
  /** Facts inherited by scores. */
  attributes?: Record<string, Json>;
}

/** One state of one alert: firing, or resolved. The state with the highest revision counts. */
export interface AlertEvent {
  /** Version of this event's shape; 1 where absent. */
  schema_version?: number;
  /** The record's key; made from the app, the rule's name and the cause, never from the revision: repetitions, replays and corrections of one cause are one alert. */
  alert_id: string;
  /** The rule. */
  name: string;
  /** `score`: a score crossed a line. `rate`: a window of scores did. `silence`: nothing came. `pending_for`: a wait is open too long. `expired`: a wait ended unanswered. `guardrail`: a variant of an experiment is worse than allowed. */
  kind?: "score" | "rate" | "silence" | "pending_for" | "expired" | "guardrail";
  /** `firing`, or `resolved` once the cause is gone. */
  state?: "firing" | "resolved";
  /** The cause: the score's id; or the group and the end of the first breaching window; or the wait; or experiment, phase, variant and metric. */
  cause?: string;
  /** Orders the states of one alert: the highest counts. For rules about single scores the score's revision; of given scores microseconds since 1970, of rescored ones milliseconds. */
  revision?: number;
  /** How urgent. */
  severity?: "page" | "warning" | "info";
  /** The alert's subject by names: agent, attributes, variant, experiment. */
  group?: Record<string, string>;
  /** The run that the alert is about, if one. */
  run_id?: string | null;
  /** The score that crossed the line, if one. */
  score_id?: string | null;
  /** The score's value, or the window's. */
  value?: boolean | number | null;
  /** The line, in words: `below 0.6`. */
  threshold?: string;
  /** The message for people. */
  message?: string;
  /** When the state began: the score's time, the window's end, or the deadline. */
  raised_at: string;
  /** When the role `alerts` noticed. */
  detected_at?: string | null;
  /** Names of receivers; none: the alert is recorded only. */
  notify?: string[];
  /** Gathers notices for so long, after the first; absent: each goes out at once. */
  digest_seconds?: number | null;
  /** How long the same rule and group send nothing further. */
  cooldown_seconds?: number | null;
  /** How many firing alerts of the rule each receiver gets in an hour; absent: any number. */
  cap_per_hour?: number | null;
  /** Why nobody is notified, where the alert is recorded only: `older than max_age`, `replay`, `rescore`, `muted`. */
  silent?: string;
  /** The URL of a page about the alert. */
  links?: string | null;
}

/** A metric of the results, and its part in the verdict. */
export interface ExperimentMetric {
  /** A score's name, or `cost_usd`, `input_tokens`, `output_tokens`, `seconds`. */
  name: string;
  /** `rate` of a boolean, or `mean` of a number. */
  kind?: "rate" | "mean";
  /** `decision`: the verdict is about this metric. `guardrail`: must not get worse by more than `margin`. `exploratory`: shown, never decided on. */
  role?: "decision" | "guardrail" | "exploratory";
  /** The good direction. */
  better?: "higher" | "lower";
  /** How long after the exposure outcomes count: the waits' `within`; none for what is known at the run's end. */
  window?: string | null;
  /** How long later runs of the unit count; zero: its first run alone. */
  horizon?: string;
  /** How much later than the window outcomes may be recorded. */
  grace?: string;
  /** The value of a unit without a score: zero (false), or the unit is left out and counted. */
  missing?: "zero" | "exclude";
  /** How much worse a guardrail may get, as a share of the control: 0.1 is 10 %. */
  margin?: number | null;
}

/** Units kept out of all experiments naming the holdout. */
export interface Holdout {
  /** The holdout. */
  name: string;
  /** The share of units kept out. */
  share: number;
}

/** The experiment's slots in a layer: a unit is in the experiment if its slot lies in a range. */
export interface Layer {
  /** The layer; all its experiments randomise the same kind of unit. */
  name: string;
  /** Ranges of slots from 0 to 1000, each with its first slot and the slot after its last. */
  slots: [number, number][];
}

/** A time of constant weights; results never pool units of two phases. */
export interface Phase {
  /** The phase. */
  phase: string;
  /** From when its weights count. */
  started_at: string;
  /** Variants and their weights. */
  weights: Record<string, number>;
  /** Why the phase was opened. */
  reason?: string;
}

/** The decision at the end of an experiment. */
export interface Shipped {
  /** The winner. */
  variant: string;
  /** Why. */
  reason: string;
  /** When it was decided. */
  at: string;
  /** The results at that moment. */
  results?: Record<string, Json>;
}

/** An experiment in its present state; the latest record of a key counts, and says all about it. */
export interface ExperimentEvent {
  /** Version of this event's shape; 1 where absent. */
  schema_version?: number;
  /** The experiment; the record's key. */
  experiment: string;
  /** The present phase: a change of weights opens a new phase, traffic doesn't. */
  phase?: string;
  /** How a run gets its variant. */
  strategy?: "fixed" | "weighted" | "bucket" | "custom" | "adaptive" | "external";
  /** Variants and their weights in the present phase. */
  variants: Record<string, number>;
  /** Why it was changed. */
  reason?: string;
  /** When it was changed. */
  changed_at: string;
  /** `draft` and `stopped`: all get the control without exposure. `shipped`: all get the winner. */
  status?: "draft" | "running" | "stopped" | "shipped";
  /** The hash of assignments. */
  hash_version?: string;
  /** The variant compared with; given to all outside the experiment. */
  control?: string | null;
  /** The kind of randomised unit, such as `user`; `run` for each run alone. */
  unit?: string;
  /** The layer with the experiment's slots. */
  layer?: Layer | null;
  /** The holdout that the experiment respects. */
  holdout?: Holdout | null;
  /** A JMESPath over `attributes`, `agent` and `version` of the run; only runs giving true take part. */
  audience?: string | null;
  /** The share of units in the experiment. */
  traffic?: number;
  /** All phases so far, the present one last; one phase since `changed_at` where absent. */
  phases?: Phase[];
  /** The metrics of the results. */
  metrics?: ExperimentMetric[];
  /** The error allowed, over all looks together. */
  alpha?: number;
  /** Units planned for all arms together, fixed at the start: intervals are narrowest there. */
  planned_units?: number | null;
  /** The least effect worth finding. */
  mde?: number | null;
  /** How long the experiment may run. */
  cap?: string | null;
  /** The decision, once there is one. */
  shipped?: Shipped | null;
}

/** A rule in its present state; the latest record of a name counts, and says all about the rule. */
export interface AlertRuleEvent {
  /** Version of this event's shape; 1 where absent. */
  schema_version?: number;
  /** The rule; the record's key. */
  name: string;
  /** `score`: each score against a line. `rate`: a window of scores. `silence`: no score for so long. `pending_for`: a wait open for too long. `expired`: a wait that ended unanswered. `guardrail`: a variant of an experiment that is worse than allowed, or a broken split. */
  kind: "score" | "rate" | "silence" | "pending_for" | "expired" | "guardrail";
  /** The name of the score, or of the wait's score. */
  score?: string | null;
  /** Only runs of this agent. */
  agent?: string | null;
  /** Only with these attributes, each compared as text. */
  where?: Record<string, string>;
  /** Only with these variants, by experiment. */
  variants?: Record<string, string>;
  /** Fires under this line. */
  below?: number | null;
  /** Fires over this line. */
  above?: number | null;
  /** Fires at this value: `false`, or a number. */
  equals?: boolean | number | null;
  /** Fires where the window's mean is lower than the earlier window's by this much. */
  drop?: number | null;
  /** How much earlier the compared window ends. */
  versus?: string | null;
  /** The line for resolving; the firing line itself where absent. */
  recover?: number | null;
  /** The least number of scores in a window; with fewer the state stays. */
  min_n?: number;
  /** The bound of the window's mean must cross the line, with this one-sided confidence; the estimate alone where absent. */
  sure?: number | null;
  /** `decided`: scores decided in the window. `matured`: scores of runs whose waits' time ended in the window, so that quick outcomes aren't overcounted. */
  population?: "decided" | "matured";
  /** The window's length; the longest silence; how long a wait may be open. */
  window?: string | null;
  /** How often the rule is judged. */
  every?: string | null;
  /** Judges each group alone: `agent`, `variant:EXPERIMENT`, or names of attributes. */
  by?: string[];
  /** The experiment; absent: every running one. */
  experiment?: string | null;
  /** The guardrail metric; absent: all of them. */
  metric?: string | null;
  /** Whether a firing guardrail sets the variant's weight to 0 in the registry, in a new phase whose reason names the alert. */
  stop_variant?: boolean;
  /** Older causes are recorded, and nobody is notified. */
  max_age?: string;
  /** How urgent. */
  severity?: "page" | "warning" | "info";
  /** Names of receivers; none: alerts are recorded only. */
  notify?: string[];
  /** Gathers notices for so long, after the first. */
  digest?: string | null;
  /** How long the same rule and group send nothing further. */
  cooldown?: string | null;
  /** The most alerts an hour that anybody is notified of; more are recorded only. */
  cap?: number;
  /** The message for people; `{value}` and its like stand for facts of the alert. */
  message?: string;
  /** Until when nobody is notified. */
  muted_until?: string | null;
  /** Why it is muted. */
  muted_reason?: string;
  /** Whether the rule is judged. */
  enabled?: boolean;
  /** One more with each change. */
  version?: number;
  /** When it was changed. */
  changed_at: string;
  /** Since when the rule judges the same as now; `changed_at` where absent. Mutes and other receivers begin nothing anew. */
  judged_since?: string | null;
  /** Who changed it, or from which file. */
  changed_by?: string;
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
  "alert-rules": AlertRuleEvent;
}
