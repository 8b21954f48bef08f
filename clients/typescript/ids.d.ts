/** The id of the fact that `parts` name: 32 hexadecimal digits, the same in every client. */
export function factId(...parts: string[]): string;
/** The id of a wait that doesn't say one. */
export function waitId(runId: string, stepId: string | null | undefined, name: string, subject: string): string;
/** The id of a score that is given: those of one run, step, name and key are one score. */
export function givenScoreId(
  runId: string,
  stepId: string | null | undefined,
  name: string,
  key?: string | null,
): string;
/** The id of an exposure. */
export function exposureId(runId: string, experiment: string): string;
/** The id of a run as the SDK for Python makes it: a trace id and a span id. */
export function newRunId(): string;
/** The id of a step: 16 hexadecimal digits. */
export function newStepId(): string;
