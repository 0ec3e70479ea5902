// Code is looked through in a thread of its own, so that no frame waits for it, however long it is and whatever it holds.

const MOST_MS = 30_000; // for one piece of code, and what is loaded for its language

const waiting = new Map(); // id -> { resolve, reject }
let worker = null;
let timer = 0;
let ids = 0;

/** Colour code that stands in several texts; gives for each a list of texts and { classes, parts }. */
export function highlight(texts, language) {
  worker ??= begin();
  const id = (ids += 1);
  worker.postMessage({ id, texts, language });
  const coloured = new Promise((resolve, reject) => waiting.set(id, { resolve, reject }));
  if (waiting.size === 1) watch();
  return coloured;
}

function begin() {
  const begun = new Worker(new URL('./highlight_worker.js', import.meta.url), { type: 'module' });
  begun.onmessage = ({ data }) => settle(data);
  begun.onerror = () => fail('no thread to colour code');
  return begun;
}

function settle({ id, coloured }) {
  const { resolve, reject } = waiting.get(id);
  waiting.delete(id);
  watch();
  if (coloured) resolve(coloured);
  else reject(new Error('not to be coloured'));
}

/** Have an eye on the piece that is next. */
function watch() {
  clearTimeout(timer);
  if (waiting.size) timer = setTimeout(() => fail('code took too long to colour'), MOST_MS);
}

/** End the thread, with all that waits for it; what comes next gets another. */
function fail(message) {
  worker.terminate();
  worker = null;
  const ended = [...waiting.values()];
  waiting.clear();
  watch();
  ended.forEach(({ reject }) => reject(new Error(message)));
}
