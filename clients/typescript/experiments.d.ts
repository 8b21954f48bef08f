/** The version of the hash; the first part of every hashed text. */
export const HASH: "upshot-1";
/** The number of some texts, above 0 and below 1. */
export function draw(...parts: string[]): number;
/** The variant of a unit and its probability; undefined where no variant has a positive weight. */
export function chooseVariant(
  experiment: string,
  unit: string,
  weights: Record<string, number>,
): { variant: string; probability: number } | undefined;
