// Pure: what a form says, as a request that a client can make and curl can repeat.

/** Build {method, url, headers, body}; only the fields of the endpoint travel, those in its path there and nowhere else. */
export function buildRequest({ method, path, fields, accept }, values) {
  const pairs = fields.filter((name) => !path.includes(`{${name}}`)).map((name) => [name, values[name]]);
  const url = path.replace(/\{(\w+)\}/g, (_, name) => encodeURIComponent(values[name]));
  if (method === 'GET') return { method, url: withQuery(url, pairs), headers: { Accept: accept }, body: '' };
  const headers = { Accept: accept, 'Content-Type': 'application/json' };
  return { method, url, headers, body: JSON.stringify(asBody(pairs)) };
}

/** Add pairs to an address that may have a query already. */
export function withQuery(url, pairs) {
  if (!pairs.length) return url;
  return url + (url.includes('?') ? '&' : '?') + new URLSearchParams(pairs);
}

function asBody(pairs) {
  const body = Object.fromEntries(pairs);
  if ('data' in body) body.data = jsonOrText(body.data);
  if (body.event === '') delete body.event;
  return body;
}

function jsonOrText(text) {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
