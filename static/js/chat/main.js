// The chat page: finds its parts and puts them together.

import { insist } from '../answers/insist.js';
import { Attachments } from '../files/attachments.js';
import { loadMarkdown } from '../markdown/libraries.js';
import { messagesFrom } from '../messages.js';
import { Chat } from './chat.js';
import { Composer } from './composer.js';
import { Follow } from './follow.js';
import { idle } from './idle.js';
import { duration, number } from './numbers.js';
import { bindOffline } from './offline.js';
import { Queue } from './queue.js';
import { Transcript } from './transcript.js';

const part = (name) => document.querySelector(`[data-${name}]`);
const t = messagesFrom(document.body);
const form = part('composer');
const follow = new Follow(document.scrollingElement, part('transcript'), part('end'));
const edit = async (...asked) => (await editor)(...asked);
const transcript = new Transcript(part('transcript'), t, follow, edit);
const { conversation } = transcript;
const composer = new Composer(form, conversation, new Attachments(form, conversation, t), t);
const queue = new Queue(part('queue'), conversation, edit, t);
// What is imported from here on comes when the chat can be used already, or when there is a network again.
const later = (load, use) => insist(load).then(use);
const editor = later(() => import('./editing.js'), (here) => here.editor(part('edit-template'), Number(form.dataset.limit), t));
const none = { place: (conversation) => conversation, moved() {}, follow() {} }; // instead of settings that did not come
const loadSettings = () => import('./settings.js');
const settings = later(loadSettings, ({ Settings }) => new Settings(part('settings'), part('settings-open'), transcript.conversation, t));
const chat = new Chat({ transcript, composer, queue, settings: loadSettings().then(() => settings, () => none) }, t);
settings.then(() => (chat.settings = settings));
const sidebar = later(() => import('../sidebar/sidebar.js'), ({ bindSidebar }) => bindSidebar(part('sidebar'), chat));
const actions = {
  new: () => location.assign('/'),
  search: async () => (await sidebar)?.search(),
  write: () => composer.focus(),
  copy: () => transcript.last?.tools.copy(),
  edit: () => transcript.last?.tools.edit(),
};
later(() => import('./shortcuts.js'), ({ Shortcuts }) => new Shortcuts(part('keys'), part('keys-open'), actions));
later(() => import('./place.js'), ({ noteLine }) => (follow.noteLine = noteLine));
later(() => import('./earlier.js'), ({ bindEarlier }) => bindEarlier(part('earlier'), transcript, () => composer.say(t('live.earlier'))));
later(() => import('./speech.js'), ({ Speech }) => (chat.speech = new Speech(part('speech'), t('live.code'))));
bindOffline(part('offline'), t('live.no_network'));
const settle = new ResizeObserver(() => {
  follow.settle();
  document.documentElement.style.setProperty('--composer', `${form.offsetHeight}px`);
});
[form, part('queue'), part('transcript')].forEach((element) => settle.observe(element));

part('examples')?.addEventListener('submit', (event) => {
  event.preventDefault();
  composer.fill(event.submitter.value);
});

// What the first answer will need comes when the page has nothing else to do; if it does not come, answers stay plain.
const warm = ({ warmUp }) => transcript.last || warmUp(part('exchange-template'), idle);
addEventListener('load', () => idle(() => loadMarkdown().then(() => import('../markdown/warm.js')).then(warm).catch(() => {})));
addEventListener('load', () => idle(() => [number, duration].forEach((write) => write(61.5, document.documentElement.lang))));
