// A little of everything, for code that is slow when it is first used.

export const SAMPLE = `# Words

Words **of** an *answer*, \`code\` and a [link](https://example.com/); 海上生明月，天涯共此時。这里。

1. one
2. two
   - [x] three

> words

| a | b |
|---|---|
| 1 | 2 |

\`\`\`text
code
\`\`\`

Last words, **half
`;

/** Use a grammar once, a part at a time, so that this holds no frame up together with other things. */
export async function tryOut(grammar) {
  await pause();
  const blocks = grammar.blocks(SAMPLE);
  await pause();
  blocks.forEach((block) => grammar.nodes(block));
  await pause();
}

function pause() {
  return new Promise((resolve) => setTimeout(resolve));
}
