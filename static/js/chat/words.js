// Pure: states and failures in words. `t` says a message in the page's language, `lang` writes its numbers.

import { number } from './numbers.js';

const PHASES = {
  connecting: 'live.connecting',
  waiting: 'live.waiting',
  thinking: 'live.thinking',
  writing: 'live.writing',
  recovering: 'live.recovering',
};
const BROKEN = { interrupted: 'live.interrupted', failed: 'live.failed' };
const STATUSES = {
  401: 'live.sign_in',
  413: 'live.too_long',
  429: 'live.busy',
  502: 'problem.upstream_unreachable',
  503: 'problem.overloaded',
  504: 'problem.upstream_timeout',
};

/** Say a phase; undefined for one that is not known here. */
export function phaseWords(phase, t) {
  return t(PHASES[phase]);
}

/** Say when the connection is tried again, and why it is not there, if that is known. */
export function reconnectingWords({ seconds, status }, t, lang, online = true) {
  const why = status ? t(STATUSES[status]) : !online && t('live.offline');
  const time = number(Math.ceil(seconds), lang);
  return [why, t('live.reconnecting', { time })].filter(Boolean).join(' ');
}

/** Say that an answer ended well, with the time to its first word and its speed; empty if it did not. */
export function endWords(end, t, lang) {
  if (end.state in BROKEN) return '';
  if (end.state === 'stopped') return t('live.stopped');
  const words = [t(end.finish_reason === 'length' ? 'live.length' : 'live.complete')];
  if (end.ttft_ms != null) words.push(t('live.first', { time: number(end.ttft_ms / 1000, lang, 2) }));
  if (end.tokens_per_s) words.push(t('live.speed', { speed: number(end.tokens_per_s, lang, 1) }));
  return [...words, usageWords(end.usage, t, lang)].filter(Boolean).join(' · ');
}

/** Say how many tokens were read and written; empty if that is not known. */
function usageWords(usage, t, lang) {
  const { prompt_tokens: read, completion_tokens: written } = usage ?? {};
  if (!written) return '';
  const values = { read: number(read ?? 0, lang), written: number(written, lang) };
  return t(read ? 'live.usage' : 'live.written', values);
}

/** Say what went wrong, and why; empty if nothing did. */
export function errorWords(end, t, lang, online = true) {
  const words = [t(BROKEN[end.state]), reason(end, t, lang, online), end.whole === false && t('live.not_whole')];
  return words.filter(Boolean).join(' ');
}

function reason({ refusal, error }, t, lang, online) {
  if (refusal) return refusalWords(refusal, t, lang, online);
  return error && (t(`problem.${error.code}`) ?? error.message);
}

function refusalWords({ status, code, retryAfterS }, t, lang, online) {
  if (!status) return t(online ? 'live.unreachable' : 'live.offline');
  const words = (status === 429 && t(`problem.${code}`)) || t(STATUSES[status] ?? 'live.refused', { status });
  return retryAfterS ? `${words} ${t('live.wait', { time: number(retryAfterS, lang) })}` : words;
}
