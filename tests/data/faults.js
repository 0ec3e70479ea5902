// Runs in the page, for tests: what a cleaned text has no right to; what our own templates bring is left out.
() => {
  const faults = [];
  const ours = '.prose > .prose__sheet, button, pre, .code, .table, .katex-display, .katex, .katex *';
  const known = /^(href|rel|target|title|referrerpolicy|align|start|type|checked|disabled|data-[\w-]+|aria-label|class|tabindex)$/;
  const classes = /^(language-\w+|hljs-[\w-]+( [\w-]+_?)*|code__part|code__rest|code__language|code__bar|prose__plain|task|formula( formula--display)?)$/;
  const tags = 'A BLOCKQUOTE BR CODE DEL EM H3 H4 H5 H6 HR INPUT LI OL P STRONG TABLE TBODY TD TH THEAD TR UL SPAN FIGCAPTION';
  const clickable = '[data-answer] :is([data-retry], [data-continue], [data-stop], [id], [name], [style]:not(.katex *))';
  for (const each of document.querySelectorAll('[data-transcript] .prose *')) {
      if (each.matches(ours)) continue;
      if (!tags.split(' ').includes(each.tagName)) faults.push(each.outerHTML);
      for (const {name, value} of each.attributes) {
          if (!known.test(name)) faults.push(`${name}=${value}`);
          if (name === 'class' && !classes.test(value)) faults.push(`${name}=${value}`);
          if (name === 'href' && !/^(https?:\/\/|mailto:)/.test(value)) faults.push(`${name}=${value}`);
      }
      if (each.matches('a') && (each.rel !== 'noopener noreferrer nofollow ugc' || each.target !== '_blank')) faults.push(each.outerHTML);
  }
  for (const each of document.querySelectorAll(`.katex :is(a, img, script, [id], [onclick], [class*=message])`)) faults.push(each.outerHTML);
  for (const each of document.querySelectorAll(clickable)) faults.push(each.outerHTML);
  return faults;
}
