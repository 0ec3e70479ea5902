// The open conversation, as far as other tabs and devices change it: its title, its end, and what they ask in it.

import { insist } from '../answers/insist.js';
import { read } from '../chat/settings_form.js';
import { fetchPage } from '../page.js';

export class Here {
  onRestore = () => {}; // called with the id of the open conversation, which was deleted
  #chat;
  #gone;
  #site;
  #t;
  #behind = false;
  #catchingUp = false;

  constructor(chat, gone, site, t) {
    this.#chat = chat;
    this.#gone = gone;
    this.#site = site;
    this.#t = t;
    gone.querySelector('[data-restore]').addEventListener('click', () => this.onRestore(this.id));
  }

  get id() {
    return this.#chat.conversation;
  }

  /** It has been changed, or brought back. */
  show(conversation) {
    const { title } = conversation;
    this.#chat.settings.then((settings) => settings.follow(conversation));
    this.#name(title, [title, this.#site].filter(Boolean).join(' · '));
    this.#say('');
  }

  /** It has been deleted: the page says so, and offers to bring it back. */
  leave() {
    this.#say(this.#t('list.say.gone'));
  }

  /** An answer of it has begun or ended somewhere: if it is not this page's own, the page has missed something. */
  async hear({ id, state }) {
    const before = this.#chat.stateOf(id);
    if (before === state) return;
    await this.#chat.whenFree();
    const now = this.#chat.stateOf(id);
    const ranHere = state === 'running' && now !== before;
    if (now !== state && !ranHere) await this.catchUp();
  }

  /** Take over what was asked elsewhere, once nothing goes on here: the page as the server writes it now has it. */
  async catchUp() {
    this.#behind = true;
    if (this.#catchingUp) return;
    this.#catchingUp = true;
    while (this.#behind) await this.#lookAgain();
    this.#catchingUp = false;
  }

  async #lookAgain() {
    await this.#chat.whenFree();
    this.#behind = false;
    const { id } = this;
    const page = await insist((line) => fetchPage(location.href, line.signal)).catch((refusal) => refusal);
    if (id !== this.id) return;
    if (page.status === 404) this.leave();
    if (page.status) return;
    this.#name(page.querySelector('[data-title]').textContent, page.title);
    (await this.#chat.settings).follow(read(page.querySelector('[data-settings] form')));
    const transcript = page.querySelector('[data-transcript]');
    this.#chat.adopt([...transcript.querySelectorAll('[data-answer-id]')], transcript.dataset.above);
  }

  #name(title, whole) {
    document.title = whole;
    document.querySelector('[data-title]').textContent = title || this.#t('list.say.untitled');
  }

  #say(words) {
    const held = this.#gone.contains(document.activeElement);
    this.#gone.hidden = !words;
    this.#gone.querySelector('[data-gone-words]').textContent = words;
    if (held && !words) document.querySelector('#prompt').focus();
  }
}
