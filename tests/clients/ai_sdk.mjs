// What Vercel's AI SDK makes of the server at `process.argv[2]`: one JSON object on the last line.

import { createOpenAICompatible } from '@ai-sdk/openai-compatible';
import { generateText, jsonSchema, streamText, tool } from 'ai';

const talkabout = createOpenAICompatible({ name: 'talkabout', baseURL: `${process.argv[2]}/v1`, includeUsage: true });
const prompt = 'hello';
const said = {};

said.whole = (await generateText({ model: talkabout('openai'), prompt })).text;

const streamed = streamText({ model: talkabout('pausing'), prompt });
said.streamed = '';
for await (const part of streamed.textStream) said.streamed += part;
said.usage = (await streamed.usage).inputTokens;

const thought = await generateText({ model: talkabout('reasoning'), prompt });
said.reasoning = thought.reasoningText;

const inputSchema = jsonSchema({ type: 'object', properties: { city: { type: 'string' } } });
const called = streamText({ model: talkabout('tools'), prompt, tools: { weather: tool({ inputSchema }) } });
said.called = (await called.toolCalls)[0].input.city;

const failed = await generateText({ model: talkabout('400-own'), prompt, maxRetries: 0 }).catch((error) => error);
said.failed = [failed.statusCode, failed.message];

const errors = [];
const broken = streamText({ model: talkabout('cut-clean'), prompt, onError: ({ error }) => errors.push(error) });
await broken.consumeStream();
said.broken = errors.length;

const abort = new AbortController();
const endless = streamText({ model: talkabout('endless'), prompt, abortSignal: abort.signal });
for await (const _ of endless.textStream) abort.abort();

console.log(JSON.stringify(said));
