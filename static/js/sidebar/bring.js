// Taking a conversation in that was exported here or elsewhere.

import { bring } from '../conversations.js';

const WORDS = { 400: 'import.say.not_json', 413: 'import.say.large', 415: 'import.say.not_json', 422: 'import.say.wrong' };

/** Let a file be chosen; `onBrought` gets the new conversation, `say` what is wrong with the file. */
export function bindImport(label, onBrought, say, t) {
  const field = label.querySelector('input');
  label.hidden = false;
  field.addEventListener('change', async () => {
    const [file] = field.files;
    if (!file) return;
    say('');
    await file.text().then(bring).then(onBrought, (refusal) => say(words(refusal, t)));
    field.value = ''; // the same file may be chosen again
  });
}

function words({ status, detail }, t) {
  return t(WORDS[status] ?? (status ? 'list.say.refused' : 'list.say.unreachable'), { status, detail });
}
