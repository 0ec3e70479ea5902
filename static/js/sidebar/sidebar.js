// The sidebar: finds its parts and puts them together. It follows the user's channel, and the chat that is open beside it.

import { Channel } from '../channel.js';
import { messagesFrom } from '../messages.js';
import { Actions } from './actions.js';
import { bindImport } from './bring.js';
import { Drawer } from './drawer.js';
import { Here } from './here.js';
import { Library } from './library.js';
import { List } from './list.js';
import { Menu } from './menu.js';
import { News } from './news.js';
import { Says } from './says.js';
import { SearchField } from './search.js';
import { ShareDialog } from './share.js';
import { Toasts } from './toasts.js';

/** Bring the sidebar to life beside a chat, and give what leads into it; `root` is null on a page that has none. */
export function bindSidebar(root, chat) {
  if (!root) return null;
  const part = (name) => root.querySelector(`[data-${name}]`);
  const t = messagesFrom(root);
  const list = new List(part('list'), part('item-template'), t);
  const library = new Library(list.read());
  const here = new Here(chat, document.querySelector('[data-gone]'), root.dataset.site, t);
  const says = new Says(part('said'), part('problem'), new Toasts(part('toasts'), part('toast-template')), t);
  const share = new ShareDialog(part('share'), t);
  const leafOf = (id) => (id === here.id ? chat.leaf : undefined); // the branch that is seen is the one that is shared
  const actions = new Actions(library, list, says, { renameTemplate: part('rename-template'), share, leafOf });

  library.onShow = (groups, state) => list.show(groups, state, here.id);
  chat.onConversation = () => library.show();
  chat.onMissing = () => here.catchUp();
  here.onRestore = (id) => actions.restore(id);
  library.show();
  bindList(list, library, says, new Menu(part('menu')), actions);
  bindImport(part('import'), ({ id }) => location.assign(`/c/${id}`), (words) => (part('problem').textContent = words), t);
  new News(new Channel(root.dataset.user, root.dataset.told), library, here);
  return { search: bindSearch(part('search'), root, library, says) };
}

function bindList(list, library, says, menu, actions) {
  menu.onChoose = (action, conversation) => actions.do(action, conversation);
  list.onMenu = (id, button) => menu.toggle(library.get(id), button);
  list.onMore = () => library.more().catch((refusal) => says.wrong(refusal));
}

/** Give what leads into the search. */
function bindSearch(form, root, library, says) {
  const search = new SearchField(form);
  const drawer = new Drawer(root);
  search.onSearch = async (q) => {
    const found = await library.search(q).catch((refusal) => refusal.name !== 'AbortError' && says.wrong(refusal));
    if (q && found) says.found(q, found);
  };
  return () => {
    drawer.open();
    search.focus();
  };
}
