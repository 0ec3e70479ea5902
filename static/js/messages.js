// The sentences that the server gives the scripts of a page, in the page's language.

/** Give a function that says the message of a key with `{values}` filled in; undefined for a key that is not there. */
export function messagesFrom(element) {
  const messages = JSON.parse(element.dataset.messages);
  return (key, values) => fill(messages[key], values);
}

/** Put values in the place of their names in braces. */
export function fill(message, values = {}) {
  return message?.replace(/\{(\w+)\}/g, (whole, name) => values[name] ?? whole);
}
