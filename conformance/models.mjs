// Official clients of models against the models' door of a running node, with scripted providers behind it: OpenAI's for Python
// and Node, Anthropic's, OpenAI's Agents SDK and pydantic-ai. No model is asked, and no key is needed.
import { spawn } from 'node:child_process';
import { appendFileSync, mkdirSync, readFileSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Node, contractFile, toml } from './lib/cella.mjs';
import { here, installed, node as nodejs, scratch } from './lib/places.mjs';
import { Skip, contains, ensure, equal, failed, finish, step, test } from './lib/report.mjs';
import { connect } from './lib/mcp.mjs';
import { provider } from './models/provider.mjs';

const KEY = 'sk-upstream-5b1e', CI = 'c'.repeat(40), BOSS = 'b'.repeat(40), CLIENT_LIMIT_MS = 90_000;
const script = (name) => join(here, 'models', name);

function run(command, args) {
  return new Promise((ok, no) => {
    const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, PYTHONDONTWRITEBYTECODE: '1' } });
    let out = '', err = '';
    child.stdout.on('data', (d) => { out += d; }); child.stderr.on('data', (d) => { err += d; });
    const timer = setTimeout(() => child.kill('SIGKILL'), CLIENT_LIMIT_MS - 5000);
    child.on('error', no);
    child.on('exit', (code, signal) => { clearTimeout(timer); ok({ code: code ?? signal, out, err }); });
  });
}

async function python(name, ...args) {
  const interpreter = installed('model-clients', 'bin', 'python');
  if (!interpreter) throw new Skip('the Python clients are not installed; see the lines above');
  const { code, out, err } = await run(interpreter, [script(name), ...args]);
  ensure(code === 0, `ended with ${code}: ${(err || out).trim().slice(-900)}`);
  return out;
}

async function javascript(name, ...args) {
  const dir = installed('model-clients-node');
  if (!dir) throw new Skip('the Node clients are not installed; see the lines above');
  const { code, out, err } = await run(nodejs, [script(name), dir, ...args]);
  ensure(code === 0, `ended with ${code}: ${(err || out).trim().slice(-900)}`);
  return out;
}

const upstream = await provider();
const dir = scratch('models');
mkdirSync(join(dir, 'agents'), { recursive: true });
writeFileSync(join(dir, 'agents', 'clerk.toml'), 'description = "Tells the weather."\ninstructions = "Use the tools."\n\n[model]\nuse = "chat/gpt-test"\n\n[tools]\nservers = ["weather"]\n');
writeFileSync(join(dir, 'agents', 'careful.toml'), 'description = "Asks before each call."\n\n[model]\nuse = "chat/gpt-test"\n\n[tools]\nservers = ["weather"]\napprove = "always"\n');
writeFileSync(join(dir, 'agents', 'phased.toml'), 'phases = ["act"]\n\n[model]\nuse = "chat/gpt-test"\n\n[tools]\nservers = ["weather"]\n');
writeFileSync(join(dir, 'agents', 'talker.toml'), '[model]\nuse = "chat/slow"\n');
writeFileSync(join(dir, 'tape.jsonl'), '{"answer":{"turn":{"text":"You said: on tape"},"stop":"end","usage":{"input":3,"output":2}}}\n');
const wires = { chat: 'openai-chat', responses: 'openai-responses', claude: 'anthropic-messages' };
const providers = Object.entries(wires).map(([name, wire]) => `[providers.${name}]\nwire = ${toml(wire)}\nurl = ${toml(upstream.url)}\nkey = "env:UPSTREAM_KEY"\n`);
const extra = `${providers.join('\n')}\n[providers.tape]\nwire = "cassette"\nfile = "tape.jsonl"\n\n[principals.ci]
token = "env:CI_TOKEN"
servers = ["weather"]
allow = ["weather__get_*"]
agents = ["clerk"]
models = ["tape/*"]
account = "acme/ci"
rate = "4/h"

[principals.boss]
token = "env:BOSS_TOKEN"
agents = ["careful"]
approve = ["careful"]

[principals.lost]
token = "env:NO_SUCH_TOKEN"

[budgets."acme/small"]\ntokens = 3000\n\n`;
const contract = contractFile(dir, 'weather');
appendFileSync(contract, '\n[tools.get_weather]\neffect = "read"\ndelegate = true\n\n[tools.storm]\neffect = "read"\nphases = ["act"]\n');
const cella = new Node({ dir, extra, env: { UPSTREAM_KEY: KEY, CI_TOKEN: CI, BOSS_TOKEN: BOSS }, servers: { weather: { command: nodejs, args: [script('weather.mjs')], contract } } });

const PYTHON = ['chat', 'chat_stream', 'chat_tools', 'chat_tools_stream', 'shaped', 'embeddings', 'models', 'errors', 'budget', 'agent', 'once'];
const RESPONSES = ['responses', 'responses_stream', 'responses_tools'];
// the same checks where the provider speaks another protocol than the client
const TRANSLATED = { 'responses/gpt-test': ['chat', 'chat_stream', 'chat_tools', 'chat_tools_stream'], 'claude/gpt-test': ['chat', 'chat_stream', 'chat_tools', 'chat_tools_stream', ...RESPONSES], 'chat/gpt-test': RESPONSES };

async function clients(base, token) {
  for (const check of PYTHON) await test(`openai for Python: ${check}`, () => python('openai_client.py', base, token, check), CLIENT_LIMIT_MS);
  for (const check of RESPONSES) await test(`openai for Python: ${check}`, () => python('openai_client.py', base, token, check, 'responses/gpt-test'), CLIENT_LIMIT_MS);
  for (const [model, checks] of Object.entries(TRANSLATED)) {
    for (const check of checks) await test(`openai for Python: ${check} -> ${wires[model.split('/')[0]]}`, () => python('openai_client.py', base, token, check, model), CLIENT_LIMIT_MS);
  }
  for (const check of ['chat', 'stream', 'tools', 'responses', 'translated', 'embeddings', 'errors']) await test(`openai for Node: ${check}`, () => javascript('openai_client.mjs', base, token, check), CLIENT_LIMIT_MS);
  for (const check of ['messages', 'stream', 'tools', 'errors']) await test(`anthropic for Python: ${check}`, () => python('anthropic_client.py', base, token, check), CLIENT_LIMIT_MS);
  const weather = cella.url('weather');
  for (const api of ['chat', 'responses']) {
    await test(`OpenAI Agents SDK: ${api}, with tools from the MCP door`, async () => {
      const out = await python('agents_sdk.py', base, token, weather, api);
      equal(out.match(/^final: .*$/gm), ['final: It is sunny in Paris.', 'final: It is sunny in Paris.']);
    }, CLIENT_LIMIT_MS);
  }
  await test('pydantic-ai, with tools from the MCP door', async () => {
    const out = await python('pydantic_agent.py', base, token, weather);
    equal(out.match(/^final: .*$/gm), ['final: It is sunny in Paris.', 'final: It is sunny in Paris.']);
  }, CLIENT_LIMIT_MS);
}

const post = (path, body, more = {}) => fetch(`${cella.origin}/v1${path}`, { method: 'POST', headers: { authorization: `Bearer ${cella.token}`, 'content-type': 'application/json', ...more.headers }, body: JSON.stringify(body), signal: more.signal });
const until = async (holds, what) => { for (let n = 0; n < 200; n += 1) { if (await holds()) return; await new Promise((ok) => { setTimeout(ok, 50); }); } throw new Error(`never: ${what}`); };
const show = (name) => JSON.parse(cella.cli('show', name, '--json').out);

async function own() {
  await test('a recording answers clients too', async () => {
    const answer = await (await post('/chat/completions', { model: 'tape/recorded', messages: [{ role: 'user', content: 'x' }] })).json();
    equal(answer.choices[0].message.content, 'You said: on tape');
  });
  await test('a provider gets the body as it came, with its own key', async () => {
    const body = { messages: [{ role: 'user', content: 'hi' }], model: 'chat/gpt-test', logit_bias: { 50256: -100 }, made_up: { z: 1, a: [1.0, 2e3] } };
    const response = await post('/chat/completions', body, { headers: { 'openai-beta': 'b1' } });
    equal(response.status, 200);
    equal((await response.json()).system_fingerprint, 'fp_up', 'a field that Cella does not know');
    const seen = upstream.seen.at(-1);
    equal(seen.text, JSON.stringify({ model: 'gpt-test', messages: body.messages, logit_bias: body.logit_bias, made_up: body.made_up }));
    equal([seen.headers.authorization, seen.headers['openai-beta']], [`Bearer ${KEY}`, 'b1']);
  });
  await test('a request is a run: shown, replayed, with what it used', async () => {
    const response = await post('/chat/completions', { model: 'chat/gpt-test', messages: [{ role: 'user', content: 'hi' }] });
    const name = response.headers.get('x-cella-run'); await response.text();
    const shown = show(name);
    equal([shown.status, shown.agent], ['completed', 'relay:chat']);
    equal(shown.budget.spent.tokens, 18);
    const replayed = cella.cli('replay', name);
    equal(replayed.status, 0, replayed.err);
  });
  await test('a client that goes away ends its request, at the provider too', async () => {
    const abort = new AbortController();
    const response = await post('/chat/completions', { model: 'chat/endless', messages: [{ role: 'user', content: 'x' }], stream: true }, { signal: abort.signal });
    await response.body.getReader().read(); abort.abort();
    await until(() => upstream.seen.at(-1).cut, 'the provider sees its connection closed');
    await until(() => show(response.headers.get('x-cella-run')).status === 'cancelled', 'the run is over');
  });
  await test('what cannot be translated is refused by name, before anybody is asked', async () => {
    const before = upstream.seen.length;
    const response = await post('/chat/completions', { model: 'claude/gpt-test', messages: [{ role: 'user', content: 'x' }], logprobs: true });
    const { error } = await response.json();
    equal([response.status, error.param, error.type], [400, 'logprobs', 'invalid_request_error']);
    for (const body of ['', '[]', '{"model":7}', '{"model":"chat/gpt-test","messages":"\\ud800"']) {
      const bad = await fetch(`${cella.origin}/v1/chat/completions`, { method: 'POST', headers: { authorization: `Bearer ${cella.token}` }, body });
      equal(bad.status, 400, body); ensure((await bad.json()).error.message.includes('CE'), 'no code');
    }
    const path = await post('/completions', {});
    equal([path.status, (await path.json()).error.code], [404, 'unknown_url']);
    equal(upstream.seen.length, before);
  });
  await test('a principal sees and does what stands in the configuration', async () => {
    const headers = { authorization: `Bearer ${CI}`, 'content-type': 'application/json' };
    const get = (path) => fetch(`${cella.origin}${path}`, { headers });
    const names = (await (await get('/v1/models')).json()).data.map((model) => model.id);
    equal(names, ['clerk', 'tape/recorded']);
    const ask = async (model) => { const r = await post('/chat/completions', { model, messages: [{ role: 'user', content: 'x' }] }, { headers }); return [r.status, (await r.json()).error?.code]; };
    equal([await ask('tape/recorded'), await ask('chat/gpt-test'), await ask('careful')], [[200, undefined], [403, 'permission_denied'], [403, 'permission_denied']]);
    equal([(await get('/api/v1/status')).status, (await get('/api/v1/log/verify')).status, (await get('/readyz')).status], [403, 403, 200]);
    const runs = (await (await get('/api/v1/runs')).json()).runs;
    equal(runs.map((run) => run.agent), ['relay:chat'], 'its own run and no other');
    const other = JSON.parse(cella.cli('runs', '--json').out).runs.find((run) => run.agent !== 'relay:chat').run;
    equal([(await get(`/api/v1/runs/${other}`)).status, (await fetch(`${cella.origin}/api/v1/runs/${other}/cancel`, { method: 'POST', headers })).status], [403, 403]);
    const after = await fetch(`${cella.origin}/v1/responses`, { method: 'POST', headers, body: JSON.stringify({ model: 'clerk', input: 'and?', previous_response_id: `resp_${other}` }) });
    equal([after.status, (await after.json()).error.code], [403, 'permission_denied'], 'going on with the run of somebody else');
    equal((await fetch(`${cella.origin}/readyz`, { headers: { authorization: 'Bearer x' } })).status, 200);
    equal((await fetch(`${cella.origin}/api/v1/status`, { headers: { authorization: `Bearer ${'d'.repeat(40)}` } })).status, 401);
  });
  await test('its lists and calls go as far as its tools and its rate', async () => {
    const client = await connect(cella.url(), { token: CI });
    const names = (await client.list('tools')).map((tool) => tool.name);
    equal(names, ['weather__get_weather']);
    const status = JSON.stringify(await client.result('resources/read', { uri: 'cella://status' }).catch((error) => error.message));
    contains(status, 'may not see the state', 'the state of the whole node');
    const call = async (name, args = {}) => JSON.stringify(await client.tool(name, args).catch((error) => error.message ?? error));
    contains(await call('weather__storm'), 'CE1582', 'another tool');
    for (let n = 0; n < 4; n += 1) contains(await call('weather__get_weather', { city: 'Rome' }), 'sunny in Rome', 'its tool');
    contains(await call('weather__get_weather', { city: 'Rome' }), 'CE1581', 'the fifth call in an hour');
    await client.close();
    const log = cella.cli('log', 'query', '--kind', 'call.refused', '--json').out;
    contains(log, 'principal:ci', 'the refusals are on record under its name');
  });
  await test('only who may approve is asked, and others wait', async () => {
    const out = await python('agents_mcp.py', 'auto', cella.url('agents'), BOSS, 'yes', 'careful');
    contains(out, 'final: It is sunny in Paris.', 'answer');
    const denied = await fetch(`${cella.origin}/api/v1/runs`, { method: 'POST', headers: { authorization: `Bearer ${BOSS}` }, body: JSON.stringify({ agent: 'clerk', task: 'x' }) });
    equal([denied.status, (await denied.json()).error.code], [403, 'CE1582']);
  });
  await test('what a server calls with the token of its call is in the phase of the run', async () => {
    const answer = await (await post('/chat/completions', { model: 'phased', messages: [{ role: 'user', content: 'weather in Paris?' }] })).json();
    equal(answer.choices[0].message.content, 'It is sunny in Paris.');
    const status = await (await fetch(`${cella.origin}/api/v1/status`, { headers: { authorization: `Bearer ${cella.token}` } })).json();
    const token = JSON.stringify(status).match(/capability (1:r-[^"\\ ]+:act:[0-9a-f]{64})/)?.[1];
    ensure(token, `the server got no token: ${JSON.stringify(status).slice(0, 300)}`);
    const storm = async (capability) => {
      const headers = { authorization: `Bearer ${cella.token}`, 'content-type': 'application/json', accept: 'application/json, text/event-stream', 'mcp-protocol-version': '2026-07-28', 'mcp-method': 'tools/call', 'mcp-name': 'storm' };
      const _meta = { 'io.modelcontextprotocol/protocolVersion': '2026-07-28', 'io.modelcontextprotocol/clientInfo': { name: 't', version: '1' }, 'io.modelcontextprotocol/clientCapabilities': {}, ...(capability && { 'io.cella/capability': capability }) };
      const body = JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name: 'storm', arguments: {}, _meta } });
      return (await fetch(cella.url('weather'), { method: 'POST', headers, body })).text();
    };
    contains(await storm(), 'CE1031', 'without a token');
    contains(await storm(token), 'thunder', 'with it');
    contains(await storm(token.replace(':act:', ':pay:')), 'CE1612', 'with another phase in it');
  });
  await test('who watches a run sees what its model says while it says it', async () => {
    const headers = { authorization: `Bearer ${cella.token}`, 'content-type': 'application/json' };
    const begun = await fetch(`${cella.origin}/api/v1/runs`, { method: 'POST', headers, body: JSON.stringify({ agent: 'talker', task: 'talk' }) });
    const { run } = await begun.json();
    const watched = await fetch(`${cella.origin}/api/v1/runs/${run}/follow?text=1`, { headers });
    const lines = (await watched.text()).trim().split('\n').map((line) => JSON.parse(line));
    const texts = lines.findIndex((line) => line.text?.startsWith('word')), answered = lines.findIndex((line) => line.fact?.kind === 'answered');
    ensure(texts >= 0 && texts < answered, `no text before the answer: ${JSON.stringify(lines).slice(0, 400)}`);
    contains(lines.at(-1).state.output, 'word20', 'output');
  });
  for (const mode of ['auto', 'legacy']) {
    const ask = (answer) => python('agents_mcp.py', mode, cella.url('agents'), cella.token, answer);
    await test(`an agent as a tool asks its client's user (${mode})`, async () => {
      const yes = await ask('yes');
      contains(yes, 'final: It is sunny in Paris.', 'answer'); contains(yes, 'asked: 1 May the agent call', 'question');
      // the scripted model repeats what it heard of the refused call
      contains(await ask('no'), 'not approved by', 'what the agent hears of a no');
    });
    await test(`a client that cannot be asked waits for somebody else (${mode})`, async () => {
      const waits = ask('mute');
      const runs = () => JSON.parse(cella.cli('runs', '--json').out).runs.filter((run) => run.status === 'waiting');
      await until(() => runs().length === 1, 'a run waits');
      equal(cella.cli('approve', runs()[0].run, 's1').status, 0);
      contains(await waits, 'final: It is sunny in Paris.', 'answer');
    });
  }
  await test('no key is in the ledger or in the log', async () => {
    ensure(!cella.log.includes(KEY), 'the log has the key');
    const files = (at) => readdirSync(at).flatMap((name) => { const path = join(at, name); return statSync(path).isDirectory() ? files(path) : [path]; });
    const found = files(join(cella.dir, 'state')).filter((path) => readFileSync(path).includes(KEY));
    equal(found, [], 'files with the key');
    contains(cella.cli('log', 'verify').out + cella.cli('log', 'verify').err, 'ok', 'verification');
  });
}

if (await step('the node starts', () => cella.start())) {
  try {
    await clients(`${cella.origin}/v1`, cella.token);
    await own();
  } catch (error) { failed('models', error.stack); }
  await step('the node stops when asked', () => cella.stop());
}
upstream.stop();
finish();
