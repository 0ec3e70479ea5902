// A file that is attached and not sent yet: on its way to the server, there, or refused.

import { fileElement, showFile } from './shown.js';
import { discard, upload } from './upload.js';
import { costWords, mayPass, refusalWords } from './words.js';

export class DraftFile {
  onChange = () => {}; // with the words for it, if there are any
  onRemove = () => {};
  file = null; // as the server shows it, once it has it
  failed = false;
  #blob;
  #t;
  #part;
  #life = new AbortController();

  /** Of a file that the server has, or of a `blob` that is yet to be sent. */
  constructor({ file = null, blob = null }, t) {
    this.#blob = blob;
    this.#t = t;
    this.element = fileElement(file ?? { name: blob.name || 'file' }, t);
    this.element.append(document.querySelector('[data-draft-template]').content.cloneNode(true));
    this.#part = (name) => this.element.querySelector(`[data-${name}]`);
    this.#part('remove-file').ariaLabel = t('file.remove', { name: this.name });
    this.#part('remove-file').addEventListener('click', () => this.onRemove());
    this.#part('retry-file').addEventListener('click', () => this.send());
    this.file = file;
  }

  get name() {
    return this.#part('open').textContent;
  }

  get isImage() {
    return Boolean(this.file?.type.startsWith('image/'));
  }

  /** Send it to the server. */
  async send() {
    this.failed = false;
    this.#mark('', false);
    this.#progress(0);
    try {
      this.file = await upload(this.#blob, (part) => this.#progress(part), this.#life.signal);
      showFile(this.element, this.file, this.#t);
      this.onChange(this.#t('file.is_attached', { name: this.name, cost: costWords(this.file, this.#t) }));
    } catch (problem) {
      if (!this.#life.signal.aborted) this.refuse(refusalWords(problem, this.#t), mayPass(problem));
    }
  }

  /** Say why it cannot be sent. */
  refuse(words, mayTryAgain = false) {
    this.failed = true;
    this.#part('cost').textContent = '';
    this.#mark(words, mayTryAgain);
    this.element.scrollIntoView({ block: 'nearest' });
    this.onChange(`${this.name}: ${words}`);
  }

  /** Say what is wrong with it for now, as with an image for a model that takes none; empty: nothing is. */
  doubt(words) {
    if (!this.failed) this.#mark(words, false);
  }

  /** Take it out of the page, and out of the server unless it is needed there. */
  end(isSent = false) {
    this.#life.abort();
    this.element.remove();
    if (this.file && !isSent) discard(this.file.id);
  }

  #progress(part) {
    this.#part('cost').textContent = this.#t('file.uploading', { percent: Math.floor(part * 100) });
  }

  #mark(words, mayTryAgain) {
    this.element.dataset.wrong = String(Boolean(words));
    this.#part('file-error').textContent = words;
    this.#part('file-error').hidden = !words;
    this.#part('retry-file').hidden = !mayTryAgain;
  }
}
