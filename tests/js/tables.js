// The tables of tests/conformance, and every way to cut a stream into chunks.

import { readFileSync, readdirSync } from 'node:fs';

const HERE = new URL('../conformance/', import.meta.url);
const LARGE = 8192;

const table = (name) => JSON.parse(readFileSync(new URL(name, HERE), 'utf8')).cases;

export const bytes = (base64) => new Uint8Array(Buffer.from(base64, 'base64'));

export const utf8 = (text) => new TextEncoder().encode(text);

/** Every decoder case whose bytes a client would read at all (a wrong Content-Type ends the connection before). */
export const decoderCases = [
  ...table('peer-decoder-cases.json').filter((c) => c.kind === 'decoder'),
  ...table('ld-contract-cases.json').filter((c) => c.kind === 'decoder'),
  ...table('wpt-eventsource.json').filter((c) => !c.expect_connection_failure),
].map((c) => ({ ...c, chunks: c.chunks.map(bytes) }));

export const generatedCases = table('ld-contract-cases.json').filter((c) => c.kind === 'decoder-generated');

export const encoderCases = table('peer-decoder-cases.json').filter((c) => c.kind === 'encoder');

export const ourCases = table('our-encoder.json');

export const recorded = readdirSync(new URL('recorded/', HERE)).map((name) => ({
  name,
  wire: new Uint8Array(readFileSync(new URL(`recorded/${name}`, HERE))),
}));

const pieces = (whole, first, size) => {
  const chunks = first ? [whole.subarray(0, first)] : [];
  for (let i = first; i < whole.length; i += size) chunks.push(whole.subarray(i, i + size));
  return chunks;
};

/** As given, whole, byte by byte, cut at each position (large ones: at each position, many at once). */
export function* chunkings(chunks) {
  const whole = new Uint8Array(Buffer.concat(chunks));
  yield chunks;
  yield [whole];
  yield pieces(whole, 0, 1);
  if (whole.length <= LARGE) for (let i = 1; i < whole.length; i++) yield [whole.subarray(0, i), whole.subarray(i)];
  else for (let i = 1; i <= 61; i++) yield pieces(whole, i, 61);
}
