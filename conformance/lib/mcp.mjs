// A small MCP client for tests: both eras, every byte visible. The SDKs hide what a gateway may get wrong, so the
// assertions of our own are made on this one; the SDKs come in as real clients.
import http from 'node:http';
import { spawn } from 'node:child_process';
import readline from 'node:readline';

export const LEGACY = '2025-11-25';
export const MODERN = '2026-07-28';
const P = 'io.modelcontextprotocol/';
const NAMED = { 'tools/call': 'name', 'prompts/get': 'name', 'resources/read': 'uri', 'tasks/get': 'taskId', 'tasks/update': 'taskId', 'tasks/cancel': 'taskId' };
const INFO = { name: 'cella-tests', version: '1' };

/** An error the server answered with. */
export class RpcError extends Error {
  constructor(error) { super(`${error.code} ${error.message}`); Object.assign(this, { code: error.code, data: error.data }); }
}

/** Opens a client. `target` is a URL, or {command, args, env, cwd} for stdio. */
export async function connect(target, options = {}) {
  const stdio = typeof target !== 'string';
  const modern = (options.era ?? 'modern') === 'modern';
  const wire = stdio ? new StdioWire(target) : new HttpWire(target, options);
  const client = modern ? new ModernClient(wire, options) : new LegacyClient(wire, options);
  try { await client.open(); } catch (error) { await wire.close(); throw error; }
  return client;
}

// ---- what both eras share ----
class Client {
  constructor(wire, options) {
    this.wire = wire; this.next = 1;
    this.capabilities = options.capabilities ?? { elicitation: {}, sampling: {}, roots: {} };
    /** Answers what a server asks: (method, params) -> result. */
    this.answer = options.answer ?? (() => { throw new Error('no answer prepared'); });
    this.heard = []; // notifications outside of a request
    this.info = options.info ?? INFO;
  }
  /** Calls a tool and answers whatever is asked on the way; the result, or RpcError. */
  async tool(name, args = {}, how = {}) { return this.result('tools/call', { name, arguments: args }, how); }
  async result(method, params, how) {
    const { message } = await this.request(method, params, how);
    if (message.error) throw new RpcError(message.error);
    if (message.result === undefined) throw new Error(`neither result nor error: ${JSON.stringify(message).slice(0, 300)}`);
    return message.result;
  }
  /** Every page of a list, as values. */
  async list(kind, how) {
    const out = []; let cursor;
    do {
      const result = await this.result(`${LISTS[kind]}/list`, cursor === undefined ? {} : { cursor }, how);
      out.push(...result[kind]); cursor = result.nextCursor;
    } while (cursor !== undefined);
    return out;
  }
  close() { return this.wire.close(); }
}
const LISTS = { tools: 'tools', prompts: 'prompts', resources: 'resources', resourceTemplates: 'resources/templates' };
export const textOf = (result) => (result.content ?? []).map((c) => c.text ?? '').join('');

// ---- modern: every request stands alone ----
class ModernClient extends Client {
  async open() { this.server = await this.result('server/discover', {}); }
  meta(extra) { return { [`${P}protocolVersion`]: MODERN, [`${P}clientInfo`]: this.info, [`${P}clientCapabilities`]: this.capabilities, ...extra }; }
  /** One round: sends and returns what came, `input_required` included. */
  once(method, params = {}, { meta, headers, notify, signal, id, raw } = {}) {
    const message = { jsonrpc: '2.0', id: id ?? this.next++, method, params: { ...params, _meta: this.meta({ ...params._meta, ...meta }) } };
    const head = { 'mcp-protocol-version': MODERN, 'mcp-method': method, ...headers };
    const named = NAMED[method] && params[NAMED[method]];
    if (named !== undefined && !head['mcp-name']) head['mcp-name'] = encode(named);
    return this.wire.exchange(message, { headers: head, notify, signal, raw });
  }
  async request(method, params = {}, how = {}) {
    let extra = {};
    for (;;) {
      const got = await this.once(method, { ...params, ...extra }, how);
      const result = got.message.result;
      if (result?.resultType !== 'input_required') return got;
      extra = { ...(result.requestState === undefined ? {} : { requestState: result.requestState }) };
      if (result.inputRequests) extra.inputResponses = Object.fromEntries(await Promise.all(Object.entries(result.inputRequests).map(async ([key, ask]) => [key, await this.answer(ask.method, ask.params)])));
    }
  }
  /** Opens a subscription; `each` gets every notification after the acknowledgement. Returns {granted, stop, ended}. */
  async listen(notifications, each) {
    const stop = new AbortController(); let granted;
    const ready = new Promise((ok, no) => {
      this.ended = this.once('subscriptions/listen', { notifications }, { signal: stop.signal, notify: (m) => {
        if (m.method === 'notifications/subscriptions/acknowledged') { granted = m.params; ok(); } else each(m);
      } }).then((got) => { no(new Error(`listen ended at once: ${got.text}`)); return got; }, (error) => { no(error); return error; });
    });
    await ready;
    return { granted, stop: () => stop.abort(), ended: this.ended };
  }
}
const encode = (v) => (/^[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?$/.test(v) && !/^=\?base64\?.*\?=$/s.test(v) ? String(v) : `=?base64?${Buffer.from(String(v)).toString('base64')}?=`);

// ---- legacy: a session ----
class LegacyClient extends Client {
  constructor(wire, options) { super(wire, options); this.revision = options.revision ?? LEGACY; this.hear = options.hear ?? true; }
  async open() {
    this.wire.incoming = (m) => this.receive(m);
    const { message, headers } = await this.wire.exchange({ jsonrpc: '2.0', id: this.next++, method: 'initialize', params: { protocolVersion: this.revision, capabilities: this.capabilities, clientInfo: this.info } }, {});
    if (message.error) throw new RpcError(message.error);
    this.server = message.result; this.wire.session = headers?.['mcp-session-id']; this.wire.revision = this.server.protocolVersion;
    await this.notify('notifications/initialized');
    if (this.hear) await this.wire.hear?.();
  }
  notify(method, params) { return this.wire.send({ jsonrpc: '2.0', method, params }); }
  request(method, params = {}, { meta, headers, notify, signal, id, raw } = {}) {
    const message = { jsonrpc: '2.0', id: id ?? this.next++, method, params: meta ? { ...params, _meta: { ...params._meta, ...meta } } : params };
    signal?.addEventListener('abort', () => { this.notify('notifications/cancelled', { requestId: message.id }).catch(() => {}); });
    return this.wire.exchange(message, { headers, notify: (m) => (m.method && m.id !== undefined ? this.receive(m) : notify?.(m)), signal, raw });
  }
  /** A request or notification of the server. */
  async receive(m) {
    if (m.id === undefined) { this.heard.push(m); this.onHeard?.(m); return; }
    let reply;
    try { reply = { result: m.method === 'ping' ? {} : await this.answer(m.method, m.params) }; } catch (error) { reply = { error: { code: -32603, message: error.message } }; }
    await this.wire.send({ jsonrpc: '2.0', id: m.id, ...reply }).catch(() => {});
  }
}

// ---- Streamable HTTP ----
class HttpWire {
  constructor(url, { token, headers }) {
    this.url = new URL(url); this.agent = new http.Agent({ keepAlive: true, maxSockets: Infinity });
    this.base = { 'content-type': 'application/json', accept: 'application/json, text/event-stream', ...(token ? { authorization: `Bearer ${token}` } : {}), ...headers };
  }
  open(method, body, headers, signal) {
    return new Promise((ok, no) => {
      const own = { ...this.base, ...(this.session ? { 'mcp-session-id': this.session } : {}), ...(this.revision ? { 'mcp-protocol-version': this.revision } : {}), ...headers };
      const request = http.request(this.url, { method, agent: this.agent, headers: { ...own, ...(body === undefined ? {} : { 'content-length': Buffer.byteLength(body) }) }, signal }, ok);
      request.on('error', no); request.end(body);
    });
  }
  /** Posts a request; ends with its answer. */
  async exchange(message, { headers, notify, signal, raw }) {
    const response = await this.open('POST', written(message, raw), headers, signal);
    const about = { status: response.statusCode, headers: response.headers };
    let last = '';
    if (!String(response.headers['content-type']).startsWith('text/event-stream')) {
      const text = await bodyOf(response);
      if (!text) throw Object.assign(new Error(`HTTP ${response.statusCode} without a body`), about);
      try { return { ...about, text, message: JSON.parse(text) }; } catch { throw Object.assign(new Error(`HTTP ${response.statusCode}: ${text.slice(0, 300)}`), about); }
    }
    for await (const event of events(response)) {
      last = event;
      const got = JSON.parse(event);
      if (got.method === undefined && got.id === message.id) { response.destroy(); return { ...about, text: event, message: got }; }
      await Promise.resolve(notify?.(got));
    }
    throw Object.assign(new Error(`the stream ended without an answer (last event ${last.slice(0, 200)})`), about);
  }
  async send(message) { const response = await this.open('POST', JSON.stringify(message)); const text = await bodyOf(response); if (response.statusCode >= 300) throw new Error(`HTTP ${response.statusCode}: ${text}`); }
  /** The stream on which a legacy server speaks unasked. */
  async hear() {
    const response = await this.open('GET');
    if (response.statusCode !== 200) { response.destroy(); return; }
    this.hearing = response;
    (async () => { for await (const event of events(response)) await this.incoming(JSON.parse(event)); })().catch(() => {});
  }
  async close({ leave = true } = {}) {
    this.hearing?.destroy();
    if (leave && this.session) await this.open('DELETE').then(bodyOf).catch(() => {});
    this.agent.destroy();
  }
}
/** A message as JSON; `raw` is a JSON text that takes the place of the string RAW, for what JSON.stringify cannot write. */
export const RAW = '\u0000raw';
const written = (message, raw) => (raw === undefined ? JSON.stringify(message) : JSON.stringify(message).replace(JSON.stringify(RAW), () => raw));
async function bodyOf(response) { let text = ''; response.setEncoding('utf8'); for await (const part of response) text += part; return text; }
async function* events(response) {
  let rest = ''; response.setEncoding('utf8');
  for await (const part of response) {
    rest += part; const blocks = rest.split(/\r?\n\r?\n/); rest = blocks.pop();
    for (const block of blocks) {
      const data = block.split(/\r?\n/).filter((l) => l.startsWith('data:')).map((l) => l.slice(5).replace(/^ /, '')).join('\n');
      if (data) yield data;
    }
  }
}

// ---- stdio ----
class StdioWire {
  constructor({ command, args = [], env, cwd }) {
    this.child = spawn(command, args, { env: { ...process.env, ...env }, cwd, stdio: ['pipe', 'pipe', 'pipe'] });
    this.errors = ''; this.child.stderr.on('data', (d) => { this.errors = (this.errors + d).slice(-2000); });
    this.waiting = new Map();
    this.gone = new Promise((_, no) => { const end = (why) => no(new Error(`the server ended (${why}): ${this.errors.slice(-500)}`)); this.child.on('exit', (code, signal) => end(code ?? signal)); this.child.on('error', (e) => end(e.message)); this.child.stdin.on('error', () => {}); });
    this.gone.catch(() => {});
    readline.createInterface({ input: this.child.stdout }).on('line', (line) => {
      let m; try { m = JSON.parse(line); } catch { return; }
      const wait = this.waiting.get(m.id);
      if (m.method === undefined && wait) { this.waiting.delete(m.id); wait.ok({ text: line, message: m }); } else if (m.method !== undefined && m.id === undefined) { for (const w of this.waiting.values()) w.notify?.(m); this.incoming?.(m); } else this.incoming?.(m);
    });
  }
  exchange(message, { notify, signal }) {
    const answer = new Promise((ok, no) => { this.waiting.set(message.id, { ok, notify }); signal?.addEventListener('abort', () => { this.waiting.delete(message.id); this.send({ jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId: message.id } }); no(new Error('aborted')); }); });
    this.send(message);
    return Promise.race([answer, this.gone]);
  }
  async send(message) { this.child.stdin.write(`${JSON.stringify(message)}\n`); }
  async close() { this.child.stdin.end(); const timer = setTimeout(() => this.child.kill('SIGKILL'), 3000); if (this.child.exitCode === null && this.child.signalCode === null) await new Promise((go) => { this.child.on('exit', go); }); clearTimeout(timer); }
}
