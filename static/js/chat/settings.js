// What a model is told beside the questions: system prompt, temperature, greatest length. Of one conversation.

import { change, create } from '../conversations.js';
import { keep, keptValue } from './kept.js';
import { changesOf, isSet, merged, read, settingsIn, write } from './settings_form.js';
import { errorWords } from './words.js';

const NEW = 'talkabout.settings'; // of the conversation that is yet to be made
const LANG = document.documentElement.lang;

export class Settings {
  #dialog;
  #form;
  #button;
  #conversation;
  #t;
  #values; // as the conversation has them

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
    this.#conversation = (await create(this.#values)).id;
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

  /** Follow what was set elsewhere. What is being changed here stays in its field, and nothing is overwritten unsaid. */
  follow(conversation) {
    const [before, now] = [this.#values, settingsIn(conversation)];
    this.#values = now;
    this.#mark();
    if (!this.#dialog.open) return;
    const { written, conflict } = merged(read(this.#form), before, now);
    write(this.#form, written);
    if (conflict) this.#part('meanwhile').textContent = this.#t('settings.conflict');
    else if (Object.keys(written).length) this.#part('meanwhile').textContent = this.#t('settings.followed');
  }

  #listen() {
    this.#button.hidden = false;
    this.#button.addEventListener('click', () => this.#open());
    this.#part('close').addEventListener('click', () => this.#dialog.close());
    this.#form.addEventListener('submit', (event) => {
      event.preventDefault();
      this.#save(read(this.#form));
    });
  }

  #open() {
    write(this.#form, this.#values);
    this.#say('');
    this.#part('meanwhile').textContent = '';
    this.#dialog.showModal();
  }

  /** Save what was changed here, and nothing else: others may have changed the rest. */
  async #save(values) {
    const changes = changesOf(values, this.#values);
    const changed = Object.keys(changes).length > 0;
    try {
      if (this.#conversation && changed) this.#values = settingsIn(await change(this.#conversation, changes));
      else if (changed) this.#keep(values);
    } catch (refusal) {
      return this.#say(refusal.detail || errorWords({ refusal }, this.#t, LANG, navigator.onLine));
    }
    this.#mark();
    this.#dialog.close();
  }

  #keep(values) {
    keep(NEW, isSet(values) ? JSON.stringify(values) : '');
    this.#values = values;
  }

  #mark() {
    const words = this.#t(this.#values.system ? 'settings.set' : 'settings.open');
    this.#button.dataset.set = String(Boolean(this.#values.system));
    this.#button.ariaLabel = this.#button.title = words;
  }

  #part(name) {
    return this.#dialog.querySelector(`[data-${name}]`);
  }

  #say(words) {
    this.#form.querySelector('[role=alert]').textContent = words;
  }
}
