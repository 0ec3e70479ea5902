// Make nodes in the page equal to fresh ones, and touch only what differs: a selection, the focus and what was scrolled
// stay where they are.

/** Turn `old` nodes into `fresh` ones, in front of the node `end`; gives the nodes that are there then. */
export function patch(parent, old, fresh, end = null) {
  old.slice(fresh.length).forEach((node) => node.remove());
  return fresh.map((node, index) => {
    const there = old[index];
    if (!there) return parent.insertBefore(node, end);
    if (there.isEqualNode(node) || merged(there, node)) return there;
    there.replaceWith(node);
    return node;
  });
}

function merged(there, fresh) {
  if (there.nodeName !== fresh.nodeName) return false;
  if (there.nodeType === Node.TEXT_NODE) return write(there, fresh.data);
  if (!there.cloneNode().isEqualNode(fresh.cloneNode())) return false;
  patch(there, [...there.childNodes], [...fresh.childNodes]);
  return true;
}

function write(node, data) {
  if (data.startsWith(node.data)) node.appendData(data.slice(node.data.length));
  else node.data = data;
  return true;
}
