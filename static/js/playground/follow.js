// Following what grows: at most one write to the page per frame, and the reader's own place is left alone.

/** Wrap a function so that any number of calls make it run once, in the next frame. */
export function oncePerFrame(render) {
  let waiting = false;
  return () => {
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => {
      waiting = false;
      render();
    });
  };
}

/** Change a scrolling box, and go on to its end only if the reader was there before. */
export function keepingEnd(box, change) {
  const atEnd = box.scrollHeight - box.scrollTop - box.clientHeight < 8;
  change();
  if (atEnd) box.scrollTop = box.scrollHeight;
}
