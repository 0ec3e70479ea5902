// Pure: numbers as the page's language writes them.

const formats = new Map(); // the first one takes a browser some 20 ms

/** Write a number with at most so many digits behind the point. */
export function number(value, lang, maximumFractionDigits = 0) {
  return format(lang, { maximumFractionDigits }).format(value);
}

/** Write how long something takes, in whole minutes and seconds. */
export function duration(seconds, lang) {
  const whole = Math.floor(seconds);
  const minutes = Math.floor(whole / 60);
  const parts = minutes ? [unit(minutes, 'minute', lang)] : [];
  return [...parts, unit(whole % 60, 'second', lang)].join(' ');
}

function unit(value, name, lang) {
  return format(lang, { style: 'unit', unit: name, unitDisplay: 'narrow' }).format(value);
}

function format(lang, options) {
  const key = JSON.stringify([lang, options]);
  if (!formats.has(key)) formats.set(key, new Intl.NumberFormat(lang, options));
  return formats.get(key);
}
