// What OpenAI's package for Node makes of the server at `process.argv[2]`: one JSON object on the last line.

import OpenAI, { APIError, NotFoundError, RateLimitError } from 'openai';

const messages = [{ role: 'user', content: 'hello' }];
const ai = new OpenAI({ baseURL: `${process.argv[2]}/v1`, apiKey: 'sk-none', maxRetries: 0 });
const ask = (model, more) => ai.chat.completions.create({ model, messages, ...more });

async function text(stream) {
  let said = '';
  for await (const chunk of stream) said += chunk.choices[0]?.delta.content ?? '';
  return said;
}

async function raised(promise) {
  try {
    const answer = await promise;
    await text(answer);
  } catch (error) {
    return error;
  }
}

const said = {};
said.models = (await ai.models.list()).data.some(({ id }) => id === 'poem');
said.whole = (await ask('openai')).choices[0].message.content;
said.streamed = await text(await ask('openai', { stream: true }));
said.heartbeats = await text(await ask('pausing', { stream: true }));

const helper = ai.chat.completions.stream({ model: 'tools', messages });
const completion = await helper.finalChatCompletion();
said.called = completion.choices[0].message.tool_calls[0].function.arguments;

const { data, response } = await ask('openai').withResponse();
said.raw = [response.status, response.headers.get('content-type'), data.usage.prompt_tokens];

said.retried = (await new OpenAI({ baseURL: ai.baseURL, apiKey: 'x', maxRetries: 1 }).chat.completions.create({
  model: process.argv[3],
  messages,
})).choices[0].message.content;

const unknown = await raised(ask('nobody'));
const limited = await raised(ask('429-always', { stream: true }));
const broken = await raised(ask('cut-clean', { stream: true }));
said.errors = [
  unknown instanceof NotFoundError && unknown.code,
  limited instanceof RateLimitError && limited.headers.get('retry-after'),
  broken instanceof APIError && broken.code,
];

const endless = await ask('endless', { stream: true });
for await (const _ of endless) break; // which aborts the request

const durable = await ai.chat.completions
  .create({ model: 'openai', messages, stream: true }, { headers: { 'Talkabout-Durable': 'true' } })
  .withResponse();
said.durable = await text(durable.data);
const again = await fetch(`${ai.baseURL}/chat/completions/${durable.response.headers.get('x-answer-id')}/events`);
said.again = (await again.text()).includes('data: [DONE]');

console.log(JSON.stringify(said));
