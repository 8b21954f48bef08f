// Runs, steps, waits, outcomes and scores over HTTP. Plain ECMAScript: Node 20 and later, Deno, Bun, browsers.

import { newRunId, newStepId, waitId } from "./ids.js";

export * from "./experiments.js";
export * from "./ids.js";

const PAUSES = [200, 500, 1000, 2000, 5000];

/** The server refused events, or can't be reached. `items` names each wrong event. */
export class UpshotError extends Error {
  constructor(message, { status = 0, items = [], cause } = {}) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = "UpshotError";
    this.status = status;
    this.items = items;
  }
}

/** Sends events to one server. Every method is done once all replicas of Kafka have them. */
export class Upshot {
  constructor({ url = "http://127.0.0.1:8321", key, source = "typescript", retries = 5, timeout = 30_000, fetch } = {}) {
    this.url = url.replace(/\/+$/, "");
    this.source = source;
    this._key = key;
    this._retries = retries;
    this._timeout = timeout;
    this._fetch = fetch ?? globalThis.fetch.bind(globalThis);
  }

  /** Send events to a topic, all or none of them; what is sent again after a failure counts once. Gives their ids. */
  async send(topic, events) {
    const list = Array.isArray(events) ? events : [events];
    if (list.length === 0) return [];
    const answer = await this._post(topic, list, { "Idempotency-Key": newRunId() });
    return answer.ids ?? [];
  }

  /**
   * The variant of a unit, recorded as an exposure of the run unless `peek`. Where the server gives none, the
   * answer is `fallback` without an exposure, with the error in `because`; without a fallback, it is thrown.
   */
  async assign(experiment, unit, { runId, attributes, arms, override, peek, fallback } = {}) {
    try {
      const about = { experiment, unit, run_id: runId, attributes, arms, override, peek };
      return (await this._post("assignments", [about])).assignments[0];
    } catch (error) {
      if (fallback === undefined || !(error instanceof UpshotError)) throw error;
      return { experiment, variant: fallback, exposed: false, because: error.message, unit };
    }
  }

  /** Tell what happened to a subject; runs that wait for news about it are scored. Gives the outcome's id. */
  async outcome(type, subject, data, { id = newRunId(), source = this.source, time } = {}) {
    await this.send("outcomes", { specversion: "1.0", type, subject, id, source, time: instant(time ?? new Date()), data });
    return id;
  }

  /** Score a run from anywhere, by its id. Scores of one run, step, name and key are one: the latest counts. */
  async score(runId, name, value, { stepId, comment, key, source = this.source } = {}) {
    if (!(typeof value === "boolean" || (typeof value === "number" && Number.isFinite(value))))
      throw new UpshotError(`${String(value)} is no score for ${name}: give true, false or a finite number`);
    const about = { run_id: runId, step_id: stepId, name, value, comment, key, source };
    await this.send("scores", { ...about, decided_at: instant(new Date()) });
  }

  /** Ask what becomes of a subject: outcomes become the score `name`. Gives the wait's id. */
  async wait(runId, name, subject, { on, within, otherwise, mode, stepId, since, agent, attributes, id } = {}) {
    const rule = { on: matches(on), within, mode, ...(otherwise === undefined ? {} : { else: otherwise }) };
    const ident = id ?? waitId(runId, stepId, name, subject);
    await this.send("waits", {
      wait_id: ident, run_id: runId, step_id: stepId, name, subject, rule, agent, attributes,
      since: since && instant(since), opened_at: instant(new Date()),
    });
    return ident;
  }

  /** Run an agent: `code` is given the run, what it gives is given; what it throws fails the run. */
  async run(agent, code, { id = newRunId(), version, sessionId, parentRunId, attributes } = {}) {
    const run = new Run(this, id, agent, new Date());
    const known = {
      run_id: id, agent, version, session_id: sessionId, parent_run_id: parentRunId, attributes,
      started_at: instant(run.startedAt),
    };
    await this.send("runs", { ...known, status: "running" });
    let ending = { status: "completed" };
    try {
      return await code(run);
    } catch (error) {
      ending = { status: aborted(error) ? "cancelled" : "failed", error: said(error) };
      throw error;
    } finally {
      await run.flush();
      const ended = instant(new Date());
      const told = run._attributes === undefined ? {} : { attributes: { ...attributes, ...run._attributes } };
      await this.send("runs", { ...known, ...told, ...ending, ended_at: ended, occurred_at: ended });
    }
  }

  /** A run that began elsewhere, by its id: what is told through it is that run's. Call `flush` at the end. */
  attach(runId, { agent, startedAt } = {}) {
    return new Run(this, runId, agent, startedAt);
  }
}

/** A run: steps are gathered, and sent with its end or by `flush`. */
export class Run {
  constructor(upshot, id, agent, startedAt) {
    this.id = id;
    this.agent = agent;
    this.startedAt = startedAt;
    this._upshot = upshot;
    this._steps = [];
    this._attributes = undefined;
  }

  /** Note facts about the run, such as the language of the task; told with its end. */
  setAttributes(attributes) {
    this._attributes = { ...this._attributes, ...attributes };
  }

  /** A step: `code` is given the step, what it gives is given. */
  async step(name, code, { kind, parent, attributes, usage } = {}) {
    const step = new Step(this, newStepId(), { ...usage });
    const event = {
      run_id: this.id, step_id: step.id, parent_step_id: parent?.id, name, kind, attributes,
      started_at: instant(new Date()),
    };
    let ending = { status: "ok" };
    try {
      return await code(step);
    } catch (error) {
      ending = { status: aborted(error) ? "cancelled" : "error", error: said(error), error_type: error?.name };
      throw error;
    } finally {
      this._steps.push({ ...event, ...step._usage, ...ending, ended_at: instant(new Date()) });
    }
  }

  /** The variant of a unit for this run, recorded as its exposure; see `Upshot.assign`. */
  assign(experiment, unit, options) {
    return this._upshot.assign(experiment, unit, { runId: this.id, ...options });
  }

  /** Send the steps that are over. */
  async flush() {
    const steps = this._steps.splice(0);
    try {
      await this._upshot.send("steps", steps);
    } catch (error) {
      this._steps.unshift(...steps);
      throw error;
    }
  }

  /** Score this run. */
  score(name, value, options) {
    return this._upshot.score(this.id, name, value, options);
  }

  /** Ask what becomes of a subject; outcomes count from the run's start. */
  wait(name, subject, options) {
    return this._upshot.wait(this.id, name, subject, { agent: this.agent, since: this.startedAt, ...options });
  }
}

/** A step of a run. */
export class Step {
  constructor(run, id, usage) {
    this.run = run;
    this.id = id;
    this._usage = usage;
  }

  /** Say what a model call used: fields of the event, such as `model`, `input_tokens`, `output_tokens`. */
  usage(usage) {
    Object.assign(this._usage, usage);
  }

  /** Score this step. */
  score(name, value, options) {
    return this.run.score(name, value, { ...options, stepId: this.id });
  }
}

Upshot.prototype._post = async function post(path, list, more) {
  const headers = { "Content-Type": "application/json", ...more };
  if (this._key) headers.Authorization = `Bearer ${this._key}`;
  const body = JSON.stringify(list);
  for (let attempt = 0; ; attempt++) {
    const { answer, again, after, error } = await this._attempt(`${this.url}/v1/${path}`, headers, body);
    if (answer) return answer;
    if (!again || attempt >= this._retries) throw error;
    await pause(after ?? PAUSES[Math.min(attempt, PAUSES.length - 1)]);
  }
};

Upshot.prototype._attempt = async function attempt(url, headers, body) {
  let response;
  try {
    const signal = AbortSignal.timeout(this._timeout);
    response = await this._fetch(url, { method: "POST", headers, body, signal });
  } catch (cause) {
    return { again: true, error: new UpshotError(`${url} can't be reached: ${said(cause)}`, { cause }) };
  }
  const told = await response.json().catch(() => ({}));
  if (response.ok) return { answer: told };
  const { status } = response;
  const message = `${url} answered ${status}: ${told.detail ?? response.statusText}`;
  const wait = Number(response.headers.get("Retry-After"));
  return {
    again: status === 503 || status === 429 || status === 408 || status === 502 || status === 504,
    after: Number.isFinite(wait) && wait > 0 ? wait * 1000 : undefined,
    error: new UpshotError(message, { status, items: told.items ?? [] }),
  };
};

function matches(on) {
  if (Array.isArray(on)) return Object.fromEntries(on.map((type) => [type, {}]));
  return Object.fromEntries(
    Object.entries(on).map(([type, says]) => [type, says !== null && typeof says === "object" ? says : { score: says }]),
  );
}

function instant(time) {
  return time instanceof Date ? time.toISOString() : time;
}

function aborted(error) {
  return error?.name === "AbortError";
}

function said(error) {
  return error instanceof Error ? `${error.name}: ${error.message}` : String(error);
}

function pause(milliseconds) {
  return new Promise((done) => setTimeout(done, milliseconds));
}
