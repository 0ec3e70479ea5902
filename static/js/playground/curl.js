// Pure: a request as a line for a POSIX shell.

/** Quote for the shell: within single quotes nothing is special but the single quote itself. */
export function quote(text) {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}

/** Write a request as curl; a token never stands in it, only the variable that holds it. */
export function asCurl({ url, headers, body }, origin, withToken) {
  const parts = Object.entries(headers).map(([name, value]) => `-H ${quote(`${name}: ${value}`)}`);
  if (withToken) parts.push('-H "Authorization: Bearer $TOKEN"');
  if (body) parts.push(`--data-raw ${quote(body)}`);
  return ['curl -N', ...parts, quote(origin + url)].join(' \\\n  ');
}
