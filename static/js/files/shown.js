// Files as they stand below a question, and above the field where one is written: the same element, made by the server.

import { costWords } from './words.js';

const template = () => document.querySelector('[data-file-template]');

/** Make the element of a file. */
export function fileElement(file, t) {
  const element = template().content.firstElementChild.cloneNode(true);
  element.querySelector('[data-open]').textContent = file.name;
  showFile(element, file, t);
  return element;
}

/** Show what the server says of a file, once it has it. */
export function showFile(element, file, t) {
  const [link, image] = [element.querySelector('[data-open]'), element.querySelector('[data-image]')];
  const isImage = Boolean(file.path && file.type?.startsWith('image/'));
  if (file.path) link.href = file.path;
  else link.removeAttribute('href');
  image.hidden = !isImage;
  if (isImage) image.src = file.path;
  else image.removeAttribute('src');
  if (!file.id) return;
  element.dataset.file = JSON.stringify(file);
  element.querySelector('[data-cost]').textContent = costWords(file, t);
}

/** Show the files of a question in its list. */
export function showFiles(list, files, t) {
  list.replaceChildren(...files.map((file) => fileElement(file, t)));
  list.hidden = !files.length;
}

/** Read the files that the server has written into a list. */
export function filesIn(list) {
  return Array.from(list.querySelectorAll('[data-file]'), ({ dataset }) => JSON.parse(dataset.file));
}

/** Name files in a request: undefined where there are none. */
export function idsOf(files) {
  return files?.length ? files.map(({ id }) => id) : undefined;
}
