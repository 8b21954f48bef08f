// Deterministic ids: a hash of what a fact is about, the same as those of every other client.

const MASK = (1n << 64n) - 1n;
const IV = [
  0x6a09e667f3bcc908n, 0xbb67ae8584caa73bn, 0x3c6ef372fe94f82bn, 0xa54ff53a5f1d36f1n,
  0x510e527fade682d1n, 0x9b05688c2b3e6c1fn, 0x1f83d9abfb41bd6bn, 0x5be0cd19137e2179n,
];
const SIGMA = [
  [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15],
  [14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3],
  [11, 8, 12, 0, 5, 2, 15, 13, 10, 14, 3, 6, 7, 1, 9, 4],
  [7, 9, 3, 1, 13, 12, 11, 14, 2, 6, 5, 10, 4, 0, 15, 8],
  [9, 0, 5, 7, 2, 4, 10, 15, 14, 1, 11, 12, 6, 8, 3, 13],
  [2, 12, 6, 10, 0, 11, 8, 3, 4, 13, 7, 5, 15, 14, 1, 9],
  [12, 5, 1, 15, 14, 13, 4, 10, 0, 7, 6, 3, 9, 2, 8, 11],
  [13, 11, 7, 14, 12, 1, 3, 9, 5, 0, 15, 4, 8, 6, 2, 10],
  [6, 15, 14, 9, 11, 3, 0, 8, 12, 2, 13, 7, 1, 4, 10, 5],
  [10, 2, 8, 4, 7, 6, 1, 5, 15, 11, 9, 14, 3, 12, 13, 0],
];
const COLUMNS = [
  [0, 4, 8, 12], [1, 5, 9, 13], [2, 6, 10, 14], [3, 7, 11, 15],
  [0, 5, 10, 15], [1, 6, 11, 12], [2, 7, 8, 13], [3, 4, 9, 14],
];

/** The id of the fact that `parts` name: 32 hexadecimal digits. */
export function factId(...parts) {
  const bytes = [];
  for (const part of parts) {
    const encoded = utf8(part);
    const size = encoded.length;
    bytes.push((size >>> 24) & 255, (size >>> 16) & 255, (size >>> 8) & 255, size & 255);
    for (const byte of encoded) bytes.push(byte);
  }
  return blake2b(bytes, 16);
}

/** The id of a wait that doesn't say one. */
export const waitId = (runId, stepId, name, subject) => factId("wait", runId, stepId ?? "", name, subject);

/** The id of a score that is given: those of one run, step, name and key are one score. */
export const givenScoreId = (runId, stepId, name, key) => factId("given", runId, stepId ?? "", name, key ?? "");

/** The id of an exposure. */
export const exposureId = (runId, experiment) => factId("exposure", runId, experiment);

/** The id of a run as the SDK for Python makes it: a trace id and a span id. */
export function newRunId() {
  return `${randomHex(16)}-${randomHex(8)}`;
}

/** The id of a step: 16 hexadecimal digits. */
export function newStepId() {
  return randomHex(8);
}

function randomHex(size) {
  return hex(globalThis.crypto.getRandomValues(new Uint8Array(size)));
}

function hex(bytes) {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** UTF-8; half a surrogate pair as the three bytes that it would have, as the other clients write it. */
export function utf8(text) {
  const bytes = [];
  for (const character of text) {
    const point = character.codePointAt(0);
    if (point < 0x80) bytes.push(point);
    else if (point < 0x800) bytes.push(0xc0 | (point >> 6), 0x80 | (point & 63));
    else if (point < 0x10000) bytes.push(0xe0 | (point >> 12), 0x80 | ((point >> 6) & 63), 0x80 | (point & 63));
    else
      bytes.push(
        0xf0 | (point >> 18), 0x80 | ((point >> 12) & 63), 0x80 | ((point >> 6) & 63), 0x80 | (point & 63),
      );
  }
  return bytes;
}

/** BLAKE2b (RFC 7693) without a key. */
function blake2b(bytes, size) {
  const state = [...IV];
  state[0] ^= 0x01010000n ^ BigInt(size);
  const blocks = Math.max(1, Math.ceil(bytes.length / 128));
  for (let block = 0; block < blocks; block++) {
    const last = block === blocks - 1;
    const words = wordsOf(bytes.slice(block * 128, (block + 1) * 128));
    compress(state, words, BigInt(last ? bytes.length : (block + 1) * 128), last);
  }
  const digest = [];
  for (const word of state) for (let at = 0n; at < 64n; at += 8n) digest.push(Number((word >> at) & 255n));
  return hex(digest.slice(0, size));
}

function wordsOf(block) {
  return Array.from({ length: 16 }, (_, word) => {
    let value = 0n;
    for (let at = 7; at >= 0; at--) value = (value << 8n) | BigInt(block[word * 8 + at] ?? 0);
    return value;
  });
}

function compress(state, words, count, last) {
  const v = [...state, ...IV];
  v[12] ^= count & MASK;
  v[13] ^= count >> 64n;
  if (last) v[14] ^= MASK;
  for (let round = 0; round < 12; round++) {
    const order = SIGMA[round % 10];
    COLUMNS.forEach(([a, b, c, d], at) => mix(v, a, b, c, d, words[order[2 * at]], words[order[2 * at + 1]]));
  }
  for (let at = 0; at < 8; at++) state[at] ^= v[at] ^ v[at + 8];
}

function mix(v, a, b, c, d, x, y) {
  v[a] = (v[a] + v[b] + x) & MASK;
  v[d] = rotated(v[d] ^ v[a], 32n);
  v[c] = (v[c] + v[d]) & MASK;
  v[b] = rotated(v[b] ^ v[c], 24n);
  v[a] = (v[a] + v[b] + y) & MASK;
  v[d] = rotated(v[d] ^ v[a], 16n);
  v[c] = (v[c] + v[d]) & MASK;
  v[b] = rotated(v[b] ^ v[c], 63n);
}

function rotated(word, bits) {
  return ((word >> bits) | (word << (64n - bits))) & MASK;
}
