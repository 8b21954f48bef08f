import type { Match, Mode, OutcomeEvent, RunEvent, ScoreEvent, StepEvent, Topics } from "./events.js";

export * from "./events.js";
export * from "./experiments.js";
export * from "./ids.js";

/** An instant: a Date, or RFC 3339 with an offset. */
export type Time = Date | string;
/** What an outcome says: a constant, a path into it such as `data.merged`, or a score with a condition or a factor. */
export type Says = boolean | number | string | Match;
/** What a step may say of a model call. */
export type Usage = Partial<
  Pick<
    StepEvent,
    | "model" | "request_model" | "provider" | "operation" | "input_tokens" | "output_tokens" | "cached_input_tokens"
    | "cache_write_input_tokens" | "reasoning_output_tokens" | "first_chunk_seconds" | "finish_reasons" | "cost_usd"
    | "tool_name" | "tool_call_id" | "prompt_name" | "prompt_version" | "input" | "output"
  >
>;

export interface Options {
  /** Where the web server is; `http://127.0.0.1:8321` where absent. */
  url?: string;
  /** One of the server's `UPSHOT_API_KEYS`. */
  key?: string;
  /** Who tells outcomes and scores. */
  source?: string;
  /** How often a request is sent again that the server couldn't take; 5 where absent. */
  retries?: number;
  /** Milliseconds that one request may take. */
  timeout?: number;
  fetch?: typeof globalThis.fetch;
}
export interface ScoreOptions {
  stepId?: string;
  comment?: string;
  key?: string;
  source?: string;
}
export interface WaitOptions {
  on: Record<string, Says> | string[];
  /** ISO 8601, such as `P14D`. */
  within: string;
  otherwise?: boolean | number | null;
  mode?: Mode;
  stepId?: string;
  since?: Time;
  agent?: string;
  attributes?: Record<string, unknown>;
  id?: string;
}
export interface RunOptions {
  id?: string;
  version?: string;
  sessionId?: string;
  parentRunId?: string;
  attributes?: Record<string, unknown>;
}
export interface AssignOptions {
  /** Facts of the run that an audience may name. */
  attributes?: Record<string, unknown>;
  /** The variants that this program can serve; all where absent. */
  arms?: string[];
  /** Asks for a variant, for tests; results leave the unit out. */
  override?: string;
  /** Records nothing. */
  peek?: boolean;
  /** The variant to serve where the server gives none: a program that has one never fails for an experiment. */
  fallback?: string;
}
/** The variant of a unit. */
export interface Assignment {
  experiment: string;
  variant: string;
  /** Whether the run is in the experiment; results count no other. */
  exposed: boolean;
  /** Why it isn't; a message where the server gave no variant. */
  because: string | null;
  unit: string | null;
  phase?: string | null;
  probability?: number | null;
  strategy?: string | null;
  weights_from?: string;
  exposure_id?: string | null;
}
export interface StepOptions {
  kind?: string;
  parent?: Step;
  attributes?: Record<string, unknown>;
  usage?: Usage;
}

/** The server refused events, or can't be reached. */
export class UpshotError extends Error {
  /** The HTTP status; 0 where there was no answer. */
  readonly status: number;
  /** Each wrong event, by its place. */
  readonly items: { where: string; reason: string; detail: string }[];
}

/** Sends events to one server. Every method is done once all replicas of Kafka have them. */
export class Upshot {
  constructor(options?: Options);
  send<T extends keyof Topics>(topic: T, events: Topics[T] | Topics[T][]): Promise<string[]>;
  outcome(
    type: string,
    subject: string,
    data?: OutcomeEvent["data"],
    options?: { id?: string; source?: string; time?: Time },
  ): Promise<string>;
  score(runId: string, name: string, value: NonNullable<ScoreEvent["value"]>, options?: ScoreOptions): Promise<void>;
  wait(runId: string, name: string, subject: string, options: WaitOptions): Promise<string>;
  assign(
    experiment: string,
    unit: string,
    options?: AssignOptions & { /** Needed unless `peek`. */ runId?: string },
  ): Promise<Assignment>;
  run<R>(agent: string, code: (run: Run) => R | Promise<R>, options?: RunOptions): Promise<R>;
  attach(runId: string, options?: { agent?: string; startedAt?: Time }): Run;
}

/** A run: steps are gathered, and sent with its end or by `flush`. */
export class Run {
  readonly id: string;
  readonly agent: RunEvent["agent"];
  setAttributes(attributes: Record<string, unknown>): void;
  step<R>(name: string, code: (step: Step) => R | Promise<R>, options?: StepOptions): Promise<R>;
  assign(experiment: string, unit: string, options?: AssignOptions): Promise<Assignment>;
  flush(): Promise<void>;
  score(name: string, value: boolean | number, options?: ScoreOptions): Promise<void>;
  wait(name: string, subject: string, options: WaitOptions): Promise<string>;
}

/** A step of a run. */
export class Step {
  readonly id: string;
  readonly run: Run;
  usage(usage: Usage): void;
  score(name: string, value: boolean | number, options?: Omit<ScoreOptions, "stepId">): Promise<void>;
}
