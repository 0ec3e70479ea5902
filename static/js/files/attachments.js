// The files of the question that is being written: attached, seen, removed, kept over a reload of this tab.

import { keep, keptValue } from '../chat/kept.js';
import { DraftFile } from './draft_file.js';
import { gather } from './gathering.js';
import { filesIn } from './shown.js';
import { isThere } from './upload.js';
import { sizeWords, sumWords } from './words.js';

export class Attachments {
  onSay = () => {};
  onMistake = () => {}; // of what was to be attached, and is not
  #form;
  #list;
  #t;
  #key;
  #drafts = [];

  constructor(form, conversation, t) {
    this.#form = form;
    this.#list = form.querySelector('[data-draft-files]');
    this.#t = t;
    this.#key = keyOf(conversation);
    gather(form, (blobs) => blobs.forEach((blob) => this.#attach(blob)));
    form.elements.model.addEventListener('input', () => this.#changed());
    const there = filesIn(this.#list); // those of a question that the server has put into the form
    this.#list.replaceChildren();
    this.give([...there, ...keptValue(this.#key, [])]);
    this.#drafts.forEach((draft) => this.#verify(draft));
  }

  /** Say why they cannot be sent now; empty if they can. */
  get mistake() {
    if (this.#drafts.some(({ failed }) => failed)) return this.#t('file.failed');
    if (this.#drafts.some(({ file }) => !file)) return this.#t('file.wait');
    return this.#blind ? this.#t('problem.images_not_taken') : '';
  }

  /** Give the files to send them; none are left. */
  take() {
    const files = this.#drafts.map(({ file }) => file);
    this.#drafts.forEach((draft) => draft.end(true));
    this.#drafts = [];
    this.#changed();
    return files;
  }

  /** Put files in that the server has: those of a question that came back. */
  give(files) {
    const isNew = ({ id }) => !this.#drafts.some(({ file }) => file?.id === id);
    files.forEach((file) => isNew(file) && this.#add(new DraftFile({ file }, this.#t)));
  }

  /** The conversation has got its id. */
  moved(conversation) {
    keep(this.#key, '');
    this.#key = keyOf(conversation);
    this.#changed();
  }

  /** Does the model that is chosen take no images, and there is one? */
  get #blind() {
    const [model] = this.#form.elements.model.selectedOptions;
    return !model?.hasAttribute('data-sees') && this.#drafts.some(({ isImage }) => isImage);
  }

  #attach(blob) {
    const { filesLimit, bytesLimit } = this.#form.dataset;
    if (this.#drafts.length >= Number(filesLimit)) return this.onMistake(this.#t('file.too_many', { count: filesLimit }));
    const draft = this.#add(new DraftFile({ blob }, this.#t));
    const limit = sizeWords(Number(bytesLimit));
    if (blob.size > Number(bytesLimit)) return draft.refuse(this.#t('file.too_large', { limit }));
    return draft.send();
  }

  #add(draft) {
    this.#drafts.push(draft);
    this.#list.append(draft.element);
    draft.onChange = (words) => this.#changed(words);
    draft.onRemove = () => this.#removed(draft);
    this.#changed();
    this.#list.scrollTop = this.#list.scrollHeight;
    return draft;
  }

  /** The focus goes to the next one, or where questions are written. */
  #removed(draft) {
    const at = this.#drafts.indexOf(draft);
    this.#drafts.splice(at, 1);
    draft.end();
    const next = this.#drafts[at]?.element.querySelector('[data-remove-file]') ?? this.#form.elements.prompt;
    next.focus({ preventScroll: true });
    this.#changed(this.#t('file.removed', { name: draft.name }));
  }

  async #verify(draft) {
    if (!(await isThere(draft.file)) && this.#drafts.includes(draft)) draft.refuse(this.#t('problem.file_gone'));
  }

  #changed(words) {
    const files = this.#drafts.filter(({ file, failed }) => file && !failed).map(({ file }) => file);
    keep(this.#key, files.length ? JSON.stringify(files) : '');
    this.#list.hidden = !this.#drafts.length;
    this.#form.querySelector('[data-files-sum]').textContent = sumWords(files, this.#t);
    const doubt = this.#blind ? this.#t('problem.images_not_taken') : '';
    this.#drafts.forEach((draft) => draft.doubt(draft.isImage ? doubt : ''));
    if (words) this.onSay(words);
  }
}

function keyOf(conversation) {
  return `talkabout.files.${conversation}`;
}
