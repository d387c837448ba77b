// A parked call belongs to who began it, to its request, and to nobody else.
import { spawn } from 'node:child_process';
import http from 'node:http';
import { existsSync, readdirSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { join } from 'node:path';
import { MODERN } from '../lib/mcp.mjs';
import { program } from '../lib/places.mjs';
import { Skip, contains, ensure, test } from '../lib/report.mjs';
import { textOf } from '../lib/mcp.mjs';

const TOOL = 'test_elicitation';
const ANSWER = { action: 'accept', content: { username: 'Ann', email: 'e@example.invalid' } };

/** Begins a call that needs an answer: what is needed to take it up again. */
async function begin(client, name = TOOL) {
  const { message } = await client.once('tools/call', { name, arguments: { message: 'x' } });
  ensure(message.result?.resultType === 'input_required', `no question: ${JSON.stringify(message)}`);
  const { requestState, inputRequests } = message.result;
  return { requestState, inputResponses: Object.fromEntries(Object.keys(inputRequests).map((key) => [key, ANSWER])) };
}
const resume = (client, state, name = TOOL, args = { message: 'x' }) => client.once('tools/call', { name, arguments: args, ...state });
const refused = (got) => ensure(got.message.error || got.message.result?.isError || got.message.result?.resultType === 'input_required', `accepted: ${JSON.stringify(got.message.result)}`);

export async function states({ cella, open, upstreams }) {
  for (const name of Object.keys(upstreams).filter((n) => n.endsWith('legacy'))) {
    // before any call is left parked: at a legacy server on a pipe another principal waits for it (ADR 6)
    await test(`${name}: a question is answered through cella stdio, a door in front of the door`, async () => {
      const child = spawn(program, ['stdio', '--config', cella.config, '--server', name], { env: cella.environment, stdio: ['pipe', 'pipe', 'inherit'] });
      try {
        const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
        const call = async (id, more) => {
          const _meta = { 'io.modelcontextprotocol/protocolVersion': MODERN, 'io.modelcontextprotocol/clientCapabilities': { elicitation: {} } };
          child.stdin.write(`${JSON.stringify({ jsonrpc: '2.0', id, method: 'tools/call', params: { name: TOOL, arguments: { message: 'x' }, ...more, _meta } })}\n`);
          for (;;) { const { value, done } = await lines.next(); ensure(!done, 'the pipe ended'); const message = JSON.parse(value); if (message.id === id) return message; }
        };
        const { result } = await call(1, {});
        ensure(result?.resultType === 'input_required', `no question: ${JSON.stringify(result)}`);
        const inputResponses = Object.fromEntries(Object.keys(result.inputRequests).map((key) => [key, ANSWER]));
        const answer = await call(2, { requestState: result.requestState, inputResponses });
        contains(JSON.stringify(answer), 'Ann', 'answer');
      } finally { child.kill(); }
    });

    await test(`${name}: a parked call is taken up once`, async () => {
      const client = await open(name, 'modern'), state = await begin(client);
      ensure(state.requestState, 'a legacy call cannot be resumed without a state');
      contains(textOf((await resume(client, state)).message.result), 'Ann', 'answer');
      refused(await resume(client, state));
      await client.close();
    });

    await test(`${name}: a state that was altered is refused`, async () => {
      const client = await open(name, 'modern'), state = await begin(client), s = state.requestState;
      for (const forged of [`${s.slice(0, -2)}${s.at(-2) === 'A' ? 'B' : 'A'}${s.at(-1)}`, '', 'x', s + s, s.slice(0, s.length / 2)]) refused(await resume(client, { ...state, requestState: forged }));
      contains(textOf((await resume(client, state)).message.result), 'Ann', 'the true state still works');
      await client.close();
    });

    await test(`${name}: a state is refused for another tool, other arguments, another server`, async () => {
      const client = await open(name, 'modern'), other = await open('http-dual', 'modern');
      refused(await resume(client, await begin(client), 'test_input_required_result_elicitation'));
      refused(await resume(client, await begin(client), TOOL, { message: 'something else' }));
      refused(await resume(other, await begin(client)));
      await Promise.all([client.close(), other.close()]);
    });

    await test(`${name}: a state is refused for another principal`, async () => {
      const places = join(cella.dir, 'runtime', 'cella');
      const socket = (existsSync(places) ? readdirSync(places) : []).filter((file) => file.endsWith('.sock')).map((file) => join(places, file))[0];
      if (!socket) throw new Skip('the node opened no unix socket, so there is only one principal');
      const client = await open(name, 'modern'), state = await begin(client);
      refused({ message: await overSocket(socket, `/mcp/servers/${name}`, client, state) });
      contains(textOf((await resume(client, state)).message.result), 'Ann', 'its owner may go on');
      await client.close();
    });
  }
}
states.needsNode = true;

function overSocket(socketPath, path, client, state) {
  const body = JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name: TOOL, arguments: { message: 'x' }, ...state, _meta: client.meta() } });
  const headers = { host: 'localhost', 'content-type': 'application/json', accept: 'application/json, text/event-stream', 'mcp-protocol-version': MODERN, 'mcp-method': 'tools/call', 'mcp-name': TOOL, 'content-length': Buffer.byteLength(body) };
  return new Promise((ok, no) => {
    http.request({ socketPath, path, method: 'POST', headers }, async (response) => {
      let text = ''; for await (const part of response) text += part;
      const json = /data: (\{.*\})/.exec(text)?.[1] ?? text;
      try { ok(JSON.parse(json)); } catch { no(new Error(`HTTP ${response.statusCode}: ${text}`)); }
    }).on('error', no).end(body);
  });
}
