// A question and its answer: what happens to the answer, shown in the page and given back in words.

import { Answer } from '../answers/answer.js';
import { Countdown } from './countdown.js';
import { Phases } from './phases.js';
import { View } from './view.js';
import { endWords, errorWords, reconnectingWords } from './words.js';

const LANG = document.documentElement.lang;

export class Exchange {
  answer = null;
  there = false; // has the server the answer?
  #t;
  #view;
  #phases;
  #countdown = new Countdown();

  constructor(root, t, follow) {
    this.#t = t;
    this.#view = new View(root, follow);
    this.root = root;
    this.prompt = this.#view.question;
    if (root.dataset.answerId) this.#takeOver(root.dataset);
  }

  /** Empty the answer for a new one. */
  clear() {
    this.there = false;
    this.#view.replace({ content: '', reasoning: '' });
  }

  /** An answer is followed from now on; gives the words for it. */
  begin(answer) {
    this.answer = answer;
    this.#phases = new Phases(this.#t);
    this.#view.begin();
    return this.#view.say(this.#phases.enter('connecting'));
  }

  /** Show what happens; gives the words for it, if there are any. */
  show(event) {
    this.#countdown.stop();
    if (event.type === 'text') return this.#write(event);
    if (event.type === 'phase') return this.#view.say(this.#phases.enter(event.phase));
    if (event.type === 'reconnecting') return this.#wait(event);
    if (event.type === 'reconnected') return this.#view.say(this.#t('live.recovered'));
    if (event.type === 'done') return this.#end(event);
    this.there ||= event.type === 'open';
    return this.#view.replace({ content: '', reasoning: '', ...event });
  }

  refuse(refusal) {
    return this.#end({ state: this.#view.text.content ? 'interrupted' : 'failed', refusal });
  }

  #write(event) {
    this.#view.write(event);
    return this.#view.say(this.#phases.enter(event.content ? 'writing' : 'thinking')); // later readers are not told
  }

  #wait(event) {
    const words = (seconds) => reconnectingWords({ ...event, seconds }, this.#t, LANG, navigator.onLine);
    return this.#countdown.start(event.seconds, (seconds) => this.#view.say(words(seconds)));
  }

  #end(end) {
    this.#countdown.stop();
    const error = errorWords(end, this.#t, LANG, navigator.onLine);
    const unfinished = this.there && end.state !== 'complete';
    return this.#view.end({ state: end.state, words: endWords(end, this.#t, LANG), error, unfinished });
  }

  /** The server wrote this exchange into the page: its state, and which event its text goes up to. */
  #takeOver({ answerId, seq, state, error }) {
    this.there = true;
    this.answer = new Answer({ answer: answerId, known: { seq: Number(seq), ...this.#view.text } });
    if (state !== 'running' && state !== 'complete') this.#end({ state, error: error && { code: error } });
  }
}
