// Pure: the sentences of a text that is still being written, to be read aloud: without marks, and without its code.

const MOST_CHARS = 400; // a sentence that never ends is cut, so that nothing is searched again and again
const END = /[。！？…]+[」』”’）)]*(?=[^。！？…」』”’）)])|[.!?]+["'”’)]*(?=\s)/;
const FENCE = /^ {0,3}(`{3,}|~{3,})/;
const BLOCK = /^\s*([-*+]\s|\d+[.)]\s|#{1,6}\s|>|\|)\s*/; // begins something new
const HAN = /[\u3000-\u9fff\uff00-\uffef]/;

export class Sentences {
  #code; // what is said in the place of code
  #fence = ''; // what the code block began with that is being written
  #line = ''; // the part of the last line that is not yet in a sentence
  #begun = true; // does that part begin its line?
  #sentence = ''; // from the lines before

  constructor(code = 'code') {
    this.#code = code;
  }

  /** Take text; gives the sentences that it finishes. */
  feed(text) {
    const lines = (this.#line + text).split('\n');
    this.#line = lines.pop();
    const finished = lines.flatMap((line) => this.#wholeLine(line));
    return [...finished, ...this.#partOfLine()].map(plain).filter(Boolean);
  }

  /** The text has ended; gives what was unfinished. */
  end() {
    const rest = this.#fence ? [] : [...this.#wholeLine(this.#line), ...this.#flush()];
    this.#line = '';
    return rest.map(plain).filter(Boolean);
  }

  #wholeLine(line) {
    const fence = this.#begun && FENCE.exec(line)?.[1];
    const begun = this.#begun;
    this.#begun = true;
    if (this.#fence) return this.#inCode(line, fence);
    if (fence) return [...this.#flush(), (this.#fence = fence) && this.#code];
    if (!begun) return this.#join(line);
    const before = !line.trim() || BLOCK.test(line) ? this.#flush() : [];
    return [...before, ...this.#join(line.replace(BLOCK, '')), ...(line.startsWith('#') ? this.#flush() : [])];
  }

  #inCode(line, fence) {
    if (fence?.startsWith(this.#fence) && !line.trim().slice(fence.length)) this.#fence = '';
    return [];
  }

  /** The last line is unfinished: only what is a sentence already is taken out of it. */
  #partOfLine() {
    const unclear = this.#fence || (this.#begun && (BLOCK.test(this.#line) || /^\s*[`~#>|*+\d-]*$/.test(this.#line)));
    if (unclear && this.#line.length < MOST_CHARS) return [];
    if (this.#fence) return [];
    const [finished, rest] = split(joined(this.#sentence, this.#line));
    if (!finished.length) return [];
    [this.#sentence, this.#line, this.#begun] = ['', rest, false];
    return finished;
  }

  #join(line) {
    const [finished, rest] = split(`${joined(this.#sentence, line)}\n`);
    this.#sentence = rest;
    return finished;
  }

  #flush() {
    const rest = this.#sentence;
    this.#sentence = '';
    return [rest];
  }
}

/** Lines of Chinese are joined without a blank. */
function joined(before, line) {
  const start = before.trimEnd();
  if (!start) return line;
  return HAN.test(start.at(-1)) ? start + line.trimStart() : `${start} ${line.trimStart()}`;
}

function split(text) {
  const finished = [];
  for (let end; (end = ending(text)); text = text.slice(end).trimStart()) finished.push(text.slice(0, end));
  return [finished, text];
}

function ending(text) {
  const found = END.exec(text);
  if (found) return found.index + found[0].length;
  return text.length > MOST_CHARS ? MOST_CHARS : 0;
}

function plain(sentence) {
  const words = sentence.replace(/!?\[([^\]]*)\]\([^)]*\)/g, '$1').replace(/[*`~]+|__/g, '');
  return words.replace(/[\s|]+/g, ' ').trim();
}
