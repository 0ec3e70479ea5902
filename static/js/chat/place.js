// The line that is being read. Browsers keep a reader's place by whole paragraphs; what changes within one still moves its lines.

const EDGE_PX = 12; // below the edge of what is seen: a line of which there is less is not the one

/** Note where the first line in the window stands; gives a function that tells how far it has moved; null if it is gone. */
export function noteLine(root) {
  const marks = marksIn(root).map((mark) => ({ mark, before: topOf(mark) }));
  return () => {
    const there = marks.find(({ mark }) => mark.node.isConnected);
    return there ? topOf(there.mark) - there.before : null;
  };
}

/** A character of that line; should it go, what is next in the window. */
function marksIn(root) {
  const { left, width } = root.getBoundingClientRect();
  const { offsetNode: node, offset } = document.caretPositionFromPoint?.(left + width / 2, edge() + EDGE_PX) ?? {};
  if (node?.nodeType !== Node.TEXT_NODE || !root.contains(node)) return [];
  const next = node.parentElement.closest('[data-exchange]')?.nextElementSibling;
  const isSeen = next && next.getBoundingClientRect().top < innerHeight;
  return [behindFormula(node) ?? { node, offset }, ...(isSeen ? [{ node: next }] : [])];
}

/** Where the text begins to be seen: the style sheet knows what lies over it. */
function edge() {
  return parseFloat(getComputedStyle(document.documentElement).scrollPaddingTop) || 0;
}

/** A formula that is not set yet will be another node: the words behind it stay. */
function behindFormula(node) {
  const behind = node.parentElement.closest('[data-math]')?.nextSibling;
  return behind?.nodeType === Node.TEXT_NODE ? { node: behind, offset: 0 } : null;
}

function topOf({ node, offset }) {
  const range = document.createRange();
  if (offset === undefined) return node.getBoundingClientRect().top;
  range.setStart(node, Math.min(offset, node.length - 1));
  range.setEnd(node, Math.min(offset + 1, node.length));
  return range.getBoundingClientRect().top;
}
