// OpenAI's official Node client against the models' door. Arguments: DIRECTORY_OF_THE_PACKAGE BASE_URL TOKEN CHECK
import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';

const [dir, baseURL, apiKey, check] = process.argv.slice(2);
const { default: OpenAI } = await import(pathToFileURL(createRequire(`${dir}/`).resolve('openai')));
const client = new OpenAI({ baseURL, apiKey, timeout: 60_000 });
const tools = [{ type: 'function', function: { name: 'get_weather', parameters: { type: 'object', properties: { city: { type: 'string' } } } } }];
const user = (content) => [{ role: 'user', content }];

const CHECKS = {
  async chat() {
    const answer = await client.chat.completions.create({ model: 'chat/gpt-test', messages: user('hi') });
    assert.equal(answer.choices[0].message.content, 'You said: hi');
  },
  async stream() {
    let text = '';
    for await (const chunk of await client.chat.completions.create({ model: 'chat/gpt-test', messages: user('hi'), stream: true })) text += chunk.choices[0].delta.content ?? '';
    assert.equal(text, 'You said: hi');
  },
  async tools() {
    const runner = client.chat.completions.runTools({ model: 'chat/gpt-test', messages: user('weather in Paris?'), stream: true, tools: [{ type: 'function', function: { ...tools[0].function, parse: JSON.parse, function: async ({ city }) => `sunny in ${city}` } }] });
    assert.equal(await runner.finalContent(), 'It is sunny in Paris.');
  },
  async responses() {
    const answer = await client.responses.create({ model: 'responses/gpt-test', input: 'hi' });
    assert.equal(answer.output_text, 'You said: hi');
    const stream = client.responses.stream({ model: 'responses/gpt-test', input: 'hi' });
    assert.equal((await stream.finalResponse()).output_text, 'You said: hi');
  },
  async translated() {
    const stream = client.responses.stream({ model: 'claude/gpt-test', input: 'hi' });
    assert.equal((await stream.finalResponse()).output_text, 'You said: hi');
    const chat = client.chat.completions.stream({ model: 'claude/gpt-test', messages: user('hi') });
    assert.equal(await chat.finalContent(), 'You said: hi');
  },
  async embeddings() {
    const answer = await client.embeddings.create({ model: 'chat/gpt-test', input: 'a', encoding_format: 'float' });
    assert.deepEqual(answer.data[0].embedding, [0.25, -0.5, 1]);
  },
  async errors() {
    const once = client.withOptions({ maxRetries: 0 });
    const ask = (model) => once.chat.completions.create({ model, messages: user('hi') });
    await assert.rejects(ask('chat/limited'), OpenAI.RateLimitError);
    await assert.rejects(ask('chat/wrong'), OpenAI.BadRequestError);
    await assert.rejects(ask('nobody/knows'), OpenAI.NotFoundError);
  },
};
await CHECKS[check]();
console.log('as it should be');
