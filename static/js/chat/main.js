// The chat page: finds its parts and puts them together.

import { loadMarkdown } from '../markdown/libraries.js';
import { messagesFrom } from '../messages.js';
import { Chat } from './chat.js';
import { Composer } from './composer.js';
import { Follow } from './follow.js';
import { Transcript } from './transcript.js';

const t = messagesFrom(document.body);
const form = document.querySelector('[data-composer]');
const follow = new Follow(document.scrollingElement, document.querySelector('[data-end]'));
const transcript = new Transcript(document.querySelector('[data-transcript]'), t, follow);
const composer = new Composer(form, t);

new Chat(transcript, composer);
new ResizeObserver(() => follow.settle()).observe(form);

document.querySelector('[data-examples]')?.addEventListener('submit', (event) => {
  event.preventDefault();
  composer.fill(event.submitter.value);
});

// What the first answer will need comes when the page has nothing else to do; if it does not come, answers stay plain.
const idle = globalThis.requestIdleCallback ?? ((run) => setTimeout(run, 500));
addEventListener('load', () => idle(() => loadMarkdown().catch(() => {})));
