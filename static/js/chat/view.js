// The parts of an exchange in the page. A question is text, an answer and its reasoning are Markdown; the page is written
// to at most once per frame.

import { Rendering } from '../markdown/rendering.js';

export class View {
  #root;
  #follow;
  #writer;
  #part;
  #answer;
  #reasoning;

  constructor(root, follow, writer) {
    this.#root = root;
    this.#follow = follow;
    this.#writer = writer;
    this.#part = (name) => root.querySelector(`[data-${name}]`);
    this.#answer = this.#rendering('answer');
    this.#reasoning = this.#rendering('reasoning-text');
    this.#part('stop-hint').remove();
  }

  get question() {
    return this.#part('question').textContent;
  }

  /** The answer so far, as it was written. */
  get text() {
    return { content: this.#answer.text, reasoning: this.#reasoning.text };
  }

  begin() {
    this.#root.dataset.state = 'running';
    this.#part('continue').hidden = true;
    this.#show('error-text', 'error', '');
  }

  /** Append what came. */
  write({ content, reasoning }) {
    this.#reasoning.append(reasoning);
    this.#answer.append(content);
    if (reasoning) this.#part('reasoning').hidden = false;
  }

  /** Show another text in the place of all that is shown. */
  replace({ content, reasoning }) {
    this.#reasoning.replace(reasoning);
    this.#answer.replace(content);
    this.#part('reasoning').hidden = !reasoning;
  }

  /** Show the state in words; gives them. */
  say(words) {
    if (words) this.#show('state', 'state', words);
    return words;
  }

  /** Nothing more comes: the text stays as it is. */
  finish() {
    this.#reasoning.end();
    this.#answer.end();
  }

  /** Show how the answer ended; gives the words for it. What is `unfinished` can be continued. */
  end({ state, words, error, unfinished }) {
    this.finish();
    this.#writer.flush();
    this.#follow.keep(() => {
      this.#root.dataset.state = state;
      this.#part('continue').hidden = !unfinished;
      this.#show('state', 'state', words);
      this.#show('error-text', 'error', error);
    });
    return error || words;
  }

  #rendering(name) {
    return new Rendering(this.#part(name), (rendering) => this.#writer.wake(rendering));
  }

  #show(text, box, words) {
    this.#part(text).textContent = words;
    this.#part(box).hidden = !words;
  }
}
