// The parts of an exchange in the page. Text goes in as text; the page is written to at most once per frame.

import { Writer } from './writer.js';

export class View {
  #root;
  #follow;
  #writer;
  #part;

  constructor(root, follow) {
    this.#root = root;
    this.#follow = follow;
    this.#part = (name) => root.querySelector(`[data-${name}]`);
    this.#writer = new Writer((change) => follow.keep(change));
    this.#part('stop-hint').remove();
  }

  get question() {
    return this.#part('question').textContent;
  }

  /** What is shown of the answer. */
  get text() {
    this.#writer.flush();
    return { content: this.#part('answer').textContent, reasoning: this.#part('reasoning-text').textContent };
  }

  begin() {
    this.#root.dataset.state = 'running';
    this.#part('continue').hidden = true;
    this.#show('error-text', 'error', '');
  }

  /** Append what came. */
  write({ content, reasoning }) {
    this.#writer.write(this.#part('reasoning-text'), reasoning);
    this.#writer.write(this.#part('answer'), content);
    if (reasoning) this.#part('reasoning').hidden = false;
  }

  /** Show another text in the place of all that is shown. */
  replace({ content, reasoning }) {
    this.#writer.empty(this.#part('reasoning-text'));
    this.#writer.empty(this.#part('answer'));
    this.#part('reasoning').hidden = !reasoning;
    this.write({ content, reasoning });
  }

  /** Show the state in words; gives them. */
  say(words) {
    if (words) this.#show('state', 'state', words);
    return words;
  }

  /** Show how the answer ended; gives the words for it. What is `unfinished` can be continued. */
  end({ state, words, error, unfinished }) {
    this.#writer.flush();
    this.#follow.keep(() => {
      this.#root.dataset.state = state;
      this.#part('continue').hidden = !unfinished;
      this.#show('state', 'state', words);
      this.#show('error-text', 'error', error);
    });
    return error || words;
  }

  #show(text, box, words) {
    this.#part(text).textContent = words;
    this.#part(box).hidden = !words;
  }
}
