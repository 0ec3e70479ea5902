// Pure: numbers as the page's language writes them.

/** Write a number with at most so many digits behind the point. */
export function number(value, lang, maximumFractionDigits = 0) {
  return new Intl.NumberFormat(lang, { maximumFractionDigits }).format(value);
}

/** Write how long something takes, in whole minutes and seconds. */
export function duration(seconds, lang) {
  const whole = Math.floor(seconds);
  const minutes = Math.floor(whole / 60);
  const parts = minutes ? [unit(minutes, 'minute', lang)] : [];
  return [...parts, unit(whole % 60, 'second', lang)].join(' ');
}

function unit(value, name, lang) {
  return new Intl.NumberFormat(lang, { style: 'unit', unit: name, unitDisplay: 'narrow' }).format(value);
}
