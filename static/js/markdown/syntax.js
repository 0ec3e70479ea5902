// Pure: what our Markdown has beside marked's: formulas, emphasis beside Chinese punctuation, and what it has not: HTML.

const INLINE_MATH = [
  /^\$\$(?!\$)((?:\\[^]|[^\\$]){1,2000}?)\$\$/,
  /^\$(?![\s\d$])((?:\\.|[^\\$\n]){0,399}?(?:\\.|[^\s\\$]))\$(?!\d)/,
  /^\$(\d(?:\\.|[^\\$\n]){0,199}?[\\^_{=+*/<>](?:\\.|[^\\$\n]){0,199}?[^\s\\$])\$(?!\d)/,
  /^\\\(((?:(?!\\\)|\n\n)[^]){1,400}?)\\\)/,
  /^\\\[((?:(?!\\\]|\n\n)[^]){1,2000}?)\\\]/,
];
const BLOCK_MATH = [
  /^ {0,3}\$\$((?:(?!\$\$|\n[ \t]*\n)[^]){1,4000}?)\$\$[ \t]*(?:\n|$)/,
  /^ {0,3}\\\[((?:(?!\\\]|\n[ \t]*\n)[^]){1,4000}?)\\\][ \t]*(?:\n|$)/,
];
const MATH_BEGINS = /\$|\\[([]/;
const BLOCK_MATH_BEGINS = /\n {0,3}(?:\$\$|\\\[)/;
// CommonMark lets no emphasis begin or end between a word and punctuation; Chinese and Japanese have no blanks there.
const CJK_STRONG = /^\*\*(?=[^\s*])([^*\n]{0,1000}?[^\s*])\*\*(?!\*)/;
const CJK = /[\u3000-\u303f\uff00-\uffef\u2018-\u201d\u2026\u2014\p{sc=Han}\p{sc=Hiragana}\p{sc=Katakana}\p{sc=Hangul}]/u;
const EDGE = /^\p{P}|\p{P}$/u;

const blockMath = {
  name: 'blockMath',
  level: 'block',
  start: (source) => placeOf(source, BLOCK_MATH_BEGINS),
  tokenizer: (source) => found(source, BLOCK_MATH, 'blockMath'),
  renderer: ({ text }) => `<p><code data-math="block">${escaped(text)}</code></p>\n`,
};

const inlineMath = {
  name: 'inlineMath',
  level: 'inline',
  start: (source) => placeOf(source, MATH_BEGINS),
  tokenizer: (source) => found(source, INLINE_MATH, 'inlineMath'),
  renderer: ({ text, display }) => `<code data-math="${display ? 'block' : 'inline'}">${escaped(text)}</code>`,
};

const cjkStrong = {
  name: 'cjkStrong',
  level: 'inline',
  start: (source) => beginOf(source.indexOf('**')),
  tokenizer(source) {
    const [raw, text] = CJK_STRONG.exec(source) ?? [];
    if (!raw || !EDGE.test(text) || !CJK.test(text)) return undefined;
    return { type: 'cjkStrong', raw, text, tokens: this.lexer.inlineTokens(text) };
  },
  renderer({ tokens }) {
    return `<strong>${this.parser.parseInline(tokens)}</strong>`;
  },
};

/** Give what marked is told: a language without HTML, and writers that give only what the cleaner lets through. */
export const SYNTAX = {
  gfm: true,
  breaks: true, // a chat's lines are lines
  extensions: [blockMath, inlineMath, cjkStrong],
  tokenizer: { html: () => undefined, tag: () => undefined }, // then it is text
  renderer: {
    html: ({ text }) => escaped(text),
    heading({ tokens, level }) {
      return `<h${level}>${this.parser.parseInline(tokens)}</h${level}>\n`;
    },
    image: ({ href, text }) => anchor(href, escaped(text || href), ' data-image="yes"'),
    link({ href, tokens }) {
      return anchor(href, this.parser.parseInline(tokens.map(withoutImages)));
    },
    code: ({ text, lang }) => `<pre><code data-language="${escaped(lang?.match(/^\S*/)[0] ?? '')}">${escaped(text)}\n</code></pre>\n`,
  },
};

/** Write text as HTML. */
export function escaped(text) {
  return text.replace(/[&<>"']/g, (char) => `&#${char.charCodeAt()};`);
}

/** An address that a link may lead to: absolute, and of a kind that opens nothing but a page or a letter. */
export function safeAddress(href) {
  return /^(?:https?:\/\/|mailto:)/i.test(href) && URL.canParse(href) ? new URL(href).href : '';
}

function anchor(href, html, more = '') {
  const address = safeAddress(href);
  return address ? `<a href="${escaped(address)}"${more}>${html}</a>` : html;
}

function withoutImages(token) {
  return token.type === 'image' ? { type: 'text', raw: token.text, text: token.text } : token;
}

function beginOf(index) {
  return index < 0 ? undefined : index;
}

function placeOf(source, pattern) {
  const match = pattern.exec(source);
  return match ? match.index + match[0].startsWith('\n') : undefined;
}

function found(source, patterns, type) {
  for (const pattern of patterns) {
    const match = pattern.exec(source);
    if (match) return { type, raw: match[0], text: match[1].trim(), display: /^\$\$|^\\\[/.test(match[0].trim()) };
  }
  return undefined;
}
