// What a node owes whoever knocks: nobody without a token, no foreign origin, no hostile bytes, and the small manners
// that old clients depend on.
import http from 'node:http';
import { LEGACY, MODERN } from '../lib/mcp.mjs';
import { contains, ensure, equal, test } from '../lib/report.mjs';

const META = { 'io.modelcontextprotocol/protocolVersion': MODERN, 'io.modelcontextprotocol/clientCapabilities': {} };
const modernList = { jsonrpc: '2.0', id: 1, method: 'tools/list', params: { _meta: META } };
const modernHeaders = { 'mcp-protocol-version': MODERN, 'mcp-method': 'tools/list' };
const initialize = (revision) => ({ jsonrpc: '2.0', id: 1, method: 'initialize', params: { protocolVersion: revision, capabilities: {}, clientInfo: { name: 't', version: '1' } } });

/** A request with every header under control: {status, headers, text}. */
function raw(url, { method = 'POST', headers = {}, body, token } = {}) {
  const text = typeof body === 'string' || body === undefined ? body : JSON.stringify(body);
  return new Promise((ok, no) => {
    const request = http.request(url, { method, headers: { 'content-type': 'application/json', accept: 'application/json, text/event-stream', ...(token ? { authorization: `Bearer ${token}` } : {}), ...(text === undefined ? {} : { 'content-length': Buffer.byteLength(text) }), ...headers } }, async (response) => {
      let out = ''; response.setEncoding('utf8');
      try { for await (const part of response) out += part; } catch (error) { out += `[${error.code}]`; }
      ok({ status: response.statusCode, headers: response.headers, text: out });
    });
    request.setTimeout(10_000, () => request.destroy(new Error('no answer within 10 s')));
    request.on('error', no).end(text);
  });
}

export async function doors({ cella }) {
  const { token } = cella, url = cella.url(), one = cella.url('http-dual');
  const list = (extra) => raw(url, { headers: { ...modernHeaders, ...extra?.headers }, body: modernList, token, ...extra?.options });

  await test('nobody gets in without the token', async () => {
    for (const target of [url, one, cella.url('no-such-server')]) {
      for (const given of [undefined, 'wrong', `${token}x`]) {
        const got = await raw(target, { headers: modernHeaders, body: modernList, token: given });
        equal(got.status, 401, `${target} with ${given}`);
        ensure(!got.text.includes('"result"'), 'a result without the token');
      }
    }
    equal((await raw(`${url}?token=${token}`, { headers: modernHeaders, body: modernList })).status, 401, 'token in the query');
  });

  await test('the health door is open and says nothing else', async () => {
    for (const path of ['/livez', '/readyz', '/healthz', '/version']) {
      const got = await raw(`${cella.origin}${path}`, { method: 'GET' });
      equal(got.status, 200, path);
      ensure(!got.text.includes('http-dual'), `${path} names servers to strangers`);
    }
  });

  await test('the admin door and the figures are closed without the token', async () => {
    for (const path of ['/metrics', '/api/v1/status', '/api/v1/node', '/api/v1/log/tail', '/api/v1/log/export?payloads=1', '/api/v1/log/follow', '/nowhere']) {
      for (const method of ['GET', 'POST']) {
        for (const given of [undefined, 'wrong']) {
          const got = await raw(`${cella.origin}${path}`, { method, token: given, body: method === 'POST' ? {} : undefined });
          equal(got.status, 401, `${method} ${path} with ${given}`);
          contains(got.headers['www-authenticate'] ?? '', 'Bearer', 'challenge');
        }
      }
      for (const foreign of [{ host: 'evil.example' }, { origin: 'http://evil.example' }]) {
        equal((await raw(`${cella.origin}${path}`, { method: 'GET', headers: foreign, token })).status, 403, `${path} ${JSON.stringify(foreign)}`);
      }
    }
    equal((await raw(`${cella.origin}/metrics`, { method: 'GET', token })).status, 200, 'with the token');
    equal((await raw(`${cella.origin}/metrics?token=${token}`, { method: 'GET' })).status, 401, 'token in the query');
  });

  await test('a foreign Host or Origin is refused', async () => {
    equal((await list({ headers: { host: 'evil.example' } })).status, 403, 'Host');
    equal((await list({ headers: { origin: 'http://evil.example' } })).status, 403, 'Origin');
    equal((await list({ headers: { origin: 'null' } })).status, 403, 'Origin null');
    equal((await list({})).status, 200, 'none');
  });

  await test('an unknown server or path is not found', async () => {
    equal((await raw(cella.url('no-such-server'), { headers: modernHeaders, body: modernList, token })).status, 404, 'server');
    equal((await raw(`${cella.origin}/nowhere`, { method: 'GET', token })).status, 404, 'path');
  });

  await test('hostile bodies are refused and the node goes on', async () => {
    const bodies = {
      'not JSON': '{"jsonrpc":', 'a lone surrogate': '{"jsonrpc":"2.0","id":"\\ud800","method":"ping"}', 'invalid UTF-8': Buffer.from([0x7b, 0xff, 0xfe, 0x7d]).toString('latin1'),
      'a duplicate method': '{"jsonrpc":"2.0","id":1,"method":"tools/list","method":"tools/call","params":{}}', 'a duplicate id': '{"jsonrpc":"2.0","id":1,"id":2,"method":"tools/list","params":{}}',
      'depth': `{"jsonrpc":"2.0","id":1,"method":"tools/list","params":${'['.repeat(100_000)}${']'.repeat(100_000)}}`, 'an array of nothing': '[]', 'a number': '17', 'null': 'null',
      'an id of the wrong kind': '{"jsonrpc":"2.0","id":{"a":1},"method":"tools/list","params":{}}', 'another protocol': '{"jsonrpc":"1.0","id":1,"method":"tools/list"}', 'params of the wrong kind': '{"jsonrpc":"2.0","id":1,"method":"tools/list","params":7}',
    };
    for (const [what, body] of Object.entries(bodies)) {
      const got = await raw(url, { headers: modernHeaders, body, token });
      ensure(got.status >= 400 && got.status < 500, `${what}: HTTP ${got.status} ${got.text.slice(0, 200)}`);
    }
    equal((await list({})).status, 200, 'afterwards');
  });

  await test('a body without end is cut off', async () => {
    const got = await raw(url, { headers: modernHeaders, body: `{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{"x":"${'y'.repeat(80 * 1024 * 1024)}"}}`, token }).catch((error) => ({ status: error.code }));
    ensure(got.status === 413 || got.status === 400 || ['ECONNRESET', 'EPIPE'].includes(got.status), `80 MiB: ${got.status}`);
    equal((await list({})).status, 200, 'afterwards');
  });

  await test('a header that disagrees with the body is refused first', async () => {
    const got = await raw(one, { headers: { ...modernHeaders, 'mcp-method': 'tools/call', 'mcp-name': 'greet' }, body: modernList, token });
    equal(got.status, 400, 'status'); contains(got.text, '-32020', 'code');
  });

  await test('a modern answer never carries a session', async () => {
    const got = await list({ headers: { 'mcp-session-id': 'made-up' } });
    equal([got.status, got.headers['mcp-session-id']], [200, undefined], 'answer');
  });

  await test('a session of one revision opens, closes and is gone', async () => {
    for (const revision of [LEGACY, '2025-06-18', '2025-03-26']) {
      const opened = await raw(one, { body: initialize(revision), token }), session = { 'mcp-session-id': opened.headers['mcp-session-id'], 'mcp-protocol-version': revision };
      contains(opened.text, `"protocolVersion":"${revision}"`, 'revision');
      const listed = await raw(one, { headers: session, body: { jsonrpc: '2.0', id: 2, method: 'tools/list' }, token });
      equal(listed.status, 200, 'list');
      // clients built on older SDKs crash on an event without data
      if (revision !== LEGACY) ensure(!/data: ?\n/.test(listed.text), `${revision}: an empty event`);
      const closed = await raw(one, { method: 'DELETE', headers: session, token });
      ensure([200, 204].includes(closed.status), `DELETE: ${closed.status}`); // 202 makes Python clients warn
      equal((await raw(one, { headers: session, body: { jsonrpc: '2.0', id: 3, method: 'tools/list' }, token })).status, 404, 'after DELETE');
    }
  });

  await test('a batch is answered at 2025-03-26 and refused later', async () => {
    const batch = [{ jsonrpc: '2.0', id: 'a', method: 'ping' }, { jsonrpc: '2.0', id: 'b', method: 'tools/list' }];
    for (const [revision, answered] of [['2025-03-26', true], [LEGACY, false]]) {
      const opened = await raw(one, { body: initialize(revision), token });
      const got = await raw(one, { headers: { 'mcp-session-id': opened.headers['mcp-session-id'], 'mcp-protocol-version': revision }, body: batch, token });
      if (answered) for (const id of ['"a"', '"b"']) contains(got.text, id, `answer of ${revision}`); else ensure(got.status === 400, `${revision}: HTTP ${got.status}`);
    }
  });

  await test('a session belongs to the endpoint that opened it', async () => {
    const opened = await raw(one, { body: initialize(LEGACY), token }), session = { 'mcp-session-id': opened.headers['mcp-session-id'], 'mcp-protocol-version': LEGACY };
    equal((await raw(cella.url('http-legacy'), { headers: session, body: { jsonrpc: '2.0', id: 2, method: 'tools/list' }, token })).status, 404, 'at another server');
  });
}
doors.needsNode = true;
