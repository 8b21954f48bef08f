// The hash `upshot-1`: the variant of a unit, the same as that of every other client and of SQL.

import { utf8 } from "./ids.js";

const MASK = (1n << 64n) - 1n;
const C1 = 0x87c37b91114253d5n;
const C2 = 0x4cf5ad432745937fn;

/** The version of the hash; the first part of every hashed text. */
export const HASH = "upshot-1";

/** The number of some texts, above 0 and below 1. */
export function draw(...parts) {
  const bytes = [];
  for (const part of parts) {
    const encoded = utf8(part);
    bytes.push(...utf8(`${encoded.length}:`), ...encoded);
  }
  return (Number(murmur3(bytes) >> 11n) + 0.5) / 2 ** 53;
}

/** The variant of a unit and its probability; undefined where no variant has a positive weight. */
export function chooseVariant(experiment, unit, weights) {
  const arms = Object.entries(weights).filter(([, weight]) => weight > 0).sort(([a], [b]) => byCodePoints(a, b));
  const total = arms.reduce((sum, [, weight]) => sum + weight, 0);
  let chosen;
  let least = Infinity;
  for (const [variant, weight] of arms) {
    const distance = -Math.log(draw(HASH, experiment, unit, variant)) / weight;
    if (distance < least) {
      least = distance;
      chosen = { variant, probability: weight / total };
    }
  }
  return chosen;
}

function byCodePoints(a, b) {
  const [left, right] = [[...a], [...b]];
  for (let at = 0; at < Math.min(left.length, right.length); at++)
    if (left[at] !== right[at]) return left[at].codePointAt(0) - right[at].codePointAt(0);
  return left.length - right.length;
}

/** The first 64 bits of MurmurHash3 x64_128 with seed 0. */
function murmur3(bytes) {
  let [h1, h2] = [0n, 0n];
  const whole = bytes.length - (bytes.length % 16);
  for (let at = 0; at < whole; at += 16) {
    h1 ^= mixed(word(bytes, at), C1, 31n, C2);
    h1 = (((rotated(h1, 27n) + h2) & MASK) * 5n + 0x52dce729n) & MASK;
    h2 ^= mixed(word(bytes, at + 8), C2, 33n, C1);
    h2 = (((rotated(h2, 31n) + h1) & MASK) * 5n + 0x38495ab5n) & MASK;
  }
  h2 ^= mixed(word(bytes, whole + 8), C2, 33n, C1);
  h1 ^= mixed(word(bytes, whole), C1, 31n, C2);
  h1 ^= BigInt(bytes.length);
  h2 ^= BigInt(bytes.length);
  h1 = (h1 + h2) & MASK;
  h2 = (h2 + h1) & MASK;
  return (avalanched(h1) + avalanched(h2)) & MASK;
}

/** Eight bytes as a little-endian number; bytes past the end are zero. */
function word(bytes, at) {
  let value = 0n;
  for (let place = at + 7; place >= at; place--) value = (value << 8n) | BigInt(bytes[place] ?? 0);
  return value;
}

function mixed(value, before, bits, after) {
  return (rotated((value * before) & MASK, bits) * after) & MASK;
}

function avalanched(value) {
  let hash = value ^ (value >> 33n);
  hash = (hash * 0xff51afd7ed558ccdn) & MASK;
  hash ^= hash >> 33n;
  hash = (hash * 0xc4ceb9fe1a85ec53n) & MASK;
  return hash ^ (hash >> 33n);
}

function rotated(value, bits) {
  return ((value << bits) | (value >> (64n - bits))) & MASK;
}
