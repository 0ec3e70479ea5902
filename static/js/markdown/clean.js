// The last door before the page: whatever the parser makes, only these elements and attributes come through.

const PLAIN_ATTRIBUTES = ['align', 'checked', 'data-image', 'data-language', 'data-math', 'disabled', 'start', 'type'];

const ALLOWED = {
  ALLOWED_TAGS: [
    'a', 'blockquote', 'br', 'code', 'del', 'em', 'h3', 'h4', 'h5', 'h6', 'hr', 'input', 'li', 'ol', 'p', 'pre', 'strong',
    'table', 'tbody', 'td', 'th', 'thead', 'tr', 'ul', '#text',
  ],
  ALLOWED_ATTR: ['href', ...PLAIN_ATTRIBUTES],
  ADD_URI_SAFE_ATTR: PLAIN_ATTRIBUTES, // all others are held against the pattern below
  ALLOW_ARIA_ATTR: false,
  ALLOW_DATA_ATTR: false,
  ALLOWED_URI_REGEXP: /^(?:https?:\/\/|mailto:)/i,
  KEEP_CONTENT: true,
  RETURN_DOM_FRAGMENT: true,
};

/** Give a function that cleans HTML and gives a fragment. The rules are read here, once: that takes as long as to clean a paragraph. */
export function cleaner(purify) {
  purify.setConfig(ALLOWED);
  return (html) => purify.sanitize(html);
}
