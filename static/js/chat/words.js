// Pure: states and failures in words. `t` says a message in the page's language, `lang` writes its numbers.

const PHASES = {
  connecting: 'live.connecting',
  waiting: 'live.waiting',
  thinking: 'live.thinking',
  writing: 'live.writing',
};
const STATES = { stopped: 'live.stopped', interrupted: 'live.interrupted', failed: 'live.failed' };
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

/** Say how an answer ended, with the time to its first word and its speed. */
export function endWords(end, t, lang) {
  if (end.state in STATES) return t(STATES[end.state]);
  const words = [t(end.finish_reason === 'length' ? 'live.length' : 'live.complete')];
  if (end.ttft_ms != null) words.push(t('live.first', { time: seconds(end.ttft_ms / 1000, lang) }));
  if (end.tokens_per_s) words.push(t('live.speed', { speed: number(end.tokens_per_s, lang) }));
  return words.join(' · ');
}

/** Say what went wrong; empty if nothing did. */
export function errorWords(end, t, lang, online = true) {
  if (end.refusal) return refusalWords(end.refusal, t, lang, online);
  if (end.error) return t(`problem.${end.error.code}`) ?? end.error.message;
  return end.whole === false ? t('live.not_whole') : '';
}

function refusalWords({ status, retryAfterS }, t, lang, online) {
  if (!status) return t(online ? 'live.unreachable' : 'live.offline');
  const words = t(STATUSES[status] ?? 'live.refused', { status });
  return retryAfterS ? `${words} ${t('live.wait', { time: seconds(retryAfterS, lang) })}` : words;
}

function seconds(value, lang) {
  return number(value, lang, { style: 'unit', unit: 'second', unitDisplay: 'short' });
}

function number(value, lang, options) {
  return new Intl.NumberFormat(lang, { maximumSignificantDigits: 2, ...options }).format(value);
}
