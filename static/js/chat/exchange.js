// A question and its answer: what happens to the answer, shown in the page and given back in words.

import { Answer } from '../answers/answer.js';
import { filesIn } from '../files/shown.js';
import { Countdown } from './countdown.js';
import { Elapsed } from './elapsed.js';
import { idle } from './idle.js';
import { Phases } from './phases.js';
import { View } from './view.js';
import { endWords, errorWords, reconnectingWords } from './words.js';

const LANG = document.documentElement.lang;

export class Exchange {
  answer = null;
  there = false; // has the server the answer?
  rewritten = false;
  asked = 0; // how many answers were asked for: more than one are versions
  #t;
  #view;
  #phases;
  #elapsed;
  #countdown = new Countdown();

  constructor(root, t, follow, writer) {
    this.#t = t;
    this.#view = new View(root, follow, writer);
    this.#elapsed = new Elapsed(root.querySelector('[data-elapsed]'), LANG);
    this.root = root;
    this.prompt = this.#view.question;
    this.files = filesIn(root.querySelector('[data-files]'));
    if (root.dataset.answerId) this.#takeOver(root.dataset);
  }

  /** The text of the answer. */
  get text() {
    return this.#view.text.content;
  }

  /** The model that answers, or has answered. */
  get model() {
    return this.root.querySelector('[data-model]').textContent;
  }

  /** Give the question another text. */
  rewrite(prompt) {
    this.prompt = prompt;
    this.rewritten = true;
    this.root.querySelector('[data-question]').textContent = prompt;
    return this;
  }

  /** Empty the answer for a new one. */
  clear() {
    this.there = false;
    this.asked += 1;
    this.#view.replace({ content: '', reasoning: '' });
  }

  /** Show what happens; gives the words for it, if there are any. */
  show(event) {
    this.#countdown.stop();
    if (event.type === 'begin') return this.#begin();
    if (event.type === 'text') return this.#write(event);
    if (event.type === 'phase') return this.#enter(event.phase);
    if (event.type === 'reconnecting') return this.#wait(event);
    if (event.type === 'reconnected') return this.#view.say(this.#t('live.recovered'));
    if (event.type === 'done') return this.#end(event);
    if (event.type === 'open') this.#open(event);
    return this.#view.replace({ content: '', reasoning: '', ...event });
  }

  refuse(refusal) {
    return this.#end({ state: this.#view.text.content ? 'interrupted' : 'failed', refusal });
  }

  #begin() {
    this.#phases = new Phases(this.#t);
    this.#view.begin();
    return this.#enter('connecting');
  }

  #open({ answer, model }) {
    this.there = true;
    this.root.dataset.answerId = answer;
    this.root.querySelector('[data-model]').textContent = model;
  }

  #enter(phase) {
    const words = this.#phases.enter(phase);
    if (words) this.#elapsed.begin();
    return this.#view.say(words);
  }

  #write(event) {
    this.#view.write(event);
    return this.#enter(event.content ? 'writing' : 'thinking'); // later readers are not told
  }

  #wait(event) {
    this.#elapsed.stop();
    const words = (seconds) => reconnectingWords({ ...event, seconds }, this.#t, LANG, navigator.onLine);
    return this.#countdown.start(event.seconds, (seconds) => this.#view.say(words(seconds)));
  }

  #end(end) {
    this.#countdown.stop();
    this.#elapsed.stop();
    const error = errorWords(end, this.#t, LANG, navigator.onLine);
    const unfinished = this.there && end.state !== 'complete';
    return this.#view.end({ state: end.state, words: endWords(end, this.#t, LANG), error, unfinished });
  }

  /** The server wrote this exchange into the page: its state, and which event its text goes up to. */
  #takeOver({ answerId, seq, state, error, figures }) {
    this.there = true;
    this.asked = 1;
    this.answer = new Answer({ answer: answerId, known: { seq: Number(seq), ...this.#view.text } });
    if (state === 'running') return;
    const end = () => this.#end({ ...JSON.parse(figures), state, error: error && { code: error } });
    if (state !== 'complete') return end();
    this.#view.finish();
    idle(() => this.asked === 1 && this.root.dataset.state === state && end()); // its figures are not urgent
  }
}
