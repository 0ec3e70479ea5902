// What a model is told beside the questions: system prompt, temperature, greatest length. Of one conversation.

import { change, create } from './conversation.js';
import { keep, keptValue } from './kept.js';
import { errorWords } from './words.js';

const NEW = 'talkabout.settings'; // of the conversation that is yet to be made
const LANG = document.documentElement.lang;

export class Settings {
  #dialog;
  #form;
  #button;
  #conversation;
  #t;
  #values;

  constructor(dialog, button, conversation, t) {
    this.#dialog = dialog;
    this.#form = dialog.querySelector('form');
    this.#button = button;
    this.#conversation = conversation;
    this.#t = t;
    this.#values = (!conversation && keptValue(NEW, null)) || read(this.#form);
    this.#listen();
    this.#mark();
  }

  /** Give the conversation to ask in; one that has settings is made before its first question. */
  async place(conversation) {
    if (conversation || !isSet(this.#values)) return conversation;
    this.#conversation = await create();
    await change(this.#conversation, this.#values);
    keep(NEW, '');
    return this.#conversation;
  }

  /** The conversation has got its id; what was set meanwhile is saved. */
  moved(conversation) {
    if (this.#conversation) return;
    this.#conversation = conversation;
    if (keptValue(NEW, null)) change(conversation, this.#values).catch(() => {}); // they are seen again in the dialog
    keep(NEW, '');
  }

  #listen() {
    this.#button.hidden = false;
    this.#button.addEventListener('click', () => this.#open());
    this.#dialog.querySelector('[data-close]').addEventListener('click', () => this.#dialog.close());
    this.#form.addEventListener('submit', (event) => {
      event.preventDefault();
      this.#save(read(this.#form));
    });
  }

  #open() {
    write(this.#form, this.#values);
    this.#say('');
    this.#dialog.showModal();
  }

  async #save(values) {
    try {
      if (this.#conversation) await change(this.#conversation, values);
      else keep(NEW, isSet(values) ? JSON.stringify(values) : '');
    } catch (refusal) {
      return this.#say(refusal.detail || errorWords({ refusal }, this.#t, LANG, navigator.onLine));
    }
    this.#values = values;
    this.#mark();
    this.#dialog.close();
  }

  #mark() {
    const words = this.#t(this.#values.system ? 'settings.set' : 'settings.open');
    this.#button.dataset.set = String(Boolean(this.#values.system));
    this.#button.ariaLabel = this.#button.title = words;
  }

  #say(words) {
    this.#form.querySelector('[role=alert]').textContent = words;
  }
}

function read({ elements }) {
  const number = (field) => (field.value === '' ? null : Number(field.value));
  const system = elements.system.value.trim() && elements.system.value;
  return { system, temperature: number(elements.temperature), max_tokens: number(elements.max_tokens) };
}

function write({ elements }, values) {
  for (const [name, value] of Object.entries(values)) elements[name].value = value ?? '';
}

function isSet({ system, temperature, max_tokens }) {
  return Boolean(system) || temperature !== null || max_tokens !== null;
}
