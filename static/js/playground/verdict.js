// Pure: have two readers of one journal the same text, and all of it?

import { codePoints, isWhole } from '../answers/proof.js';

/** Compare two readers ({text, end}); gives null until both have read the end. */
export async function verdict(readers) {
  if (!readers.every(({ end }) => end)) return null;
  const [one, other] = readers.map(({ text }) => text);
  const proofs = await Promise.all(readers.map(({ text, end }) => isWhole(text, end)));
  const { chars, sha256 } = readers[0].end;
  return { same: one === other && proofs.every(Boolean), chars, sha256 };
}

/** Count what each has so far. */
export function soFar(readers) {
  const [one, other] = readers.map(({ text }) => codePoints(text));
  return { one, other };
}
