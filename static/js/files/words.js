// Pure: what files are, in words.

import { number } from '../chat/numbers.js';

const K = 1000;
const LANG = globalThis.document?.documentElement.lang || 'en';

/** Say how large a file is, as the server does. */
export function sizeWords(bytes, lang = LANG) {
  if (bytes < K) return `${number(bytes, lang)} B`;
  const kilo = Math.round(bytes / K);
  return kilo < K ? `${number(kilo, lang)} kB` : `${number(Math.round(kilo / K), lang)} MB`;
}

/** Say how large a file is, and how many tokens it takes, about. */
export function costWords({ bytes, tokens }, t, lang = LANG) {
  return t('file.cost', { size: sizeWords(bytes, lang), tokens: number(tokens, lang) });
}

/** Say what several files are together, and how images are counted. */
export function sumWords(files, t, lang = LANG) {
  const sum = (name) => files.reduce((all, file) => all + file[name], 0);
  const size = sizeWords(sum('bytes'), lang);
  const words = [files.length > 1 && t('file.sum', { size, tokens: number(sum('tokens'), lang) })];
  if (files.some(({ type }) => type.startsWith('image/'))) words.push(t('file.images'));
  return words.filter(Boolean).join(' · ');
}

/** Say why a file was not taken: by the code of the problem, its text, or that the line broke. */
export function refusalWords({ status, code, detail } = {}, t) {
  return (code && t(`problem.${code}`)) || detail || t(status ? 'live.refused' : 'file.lost', { status });
}

/** Say if another try can help. */
export function mayPass({ status = 0 } = {}) {
  return status === 0 || status === 408 || status === 429 || status >= 500;
}
