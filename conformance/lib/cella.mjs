// A node under test: its configuration, its token, its life and its end.
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import { join } from 'node:path';
import { cache, here, node, program, refserver, scratch } from './places.mjs';
import { Skip } from './report.mjs';

/** A release build starts in milliseconds; a busy machine takes longer. */
const READY_LIMIT_MS = 30_000;
/** SIGTERM drains for at most ten seconds. */
const STOP_LIMIT_MS = 15_000;

const running = new Set();
process.on('exit', () => { for (const child of running) child.kill('SIGKILL'); });
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => process.exit(1));

export function freePort() {
  return new Promise((ok) => { const s = net.createServer().listen(0, '127.0.0.1', () => { const { port } = s.address(); s.close(() => ok(port)); }); });
}

/** A value as TOML. */
export function toml(value) {
  if (Array.isArray(value)) return `[${value.map(toml).join(', ')}]`;
  if (value !== null && typeof value === 'object') return `{ ${Object.entries(value).map(([k, v]) => `${key(k)} = ${toml(v)}`).join(', ')} }`;
  return JSON.stringify(value);
}
const key = (k) => (/^[A-Za-z0-9_-]+$/.test(k) ? k : JSON.stringify(k));

/** The contract of a test server: it may read what the tests installed, and write in its own directory. */
export function contractFile(dir, name, { read = [], write = [], egress = [], limits = {} } = {}) {
  const files = [...[cache, here, node, ...read].map((path) => ({ path, mode: 'read' })), ...write.map((path) => ({ path, mode: 'write' }))];
  const lines = [`egress = ${toml(egress)}`];
  for (const { path, mode } of files) lines.push('', '[[files]]', `path = ${toml(path)}`, `mode = ${toml(mode)}`);
  if (Object.keys(limits).length) lines.push('', '[limits]', ...Object.entries(limits).map(([k, v]) => `${k} = ${toml(v)}`));
  const path = join(dir, `${name}.contract.toml`);
  writeFileSync(path, `${lines.join('\n')}\n`);
  return path;
}

/** Writes the configuration. `servers`: name -> {command, args, env, cwd | url, transport, contract}. */
function configure(dir, { servers, extra = '' }) {
  const lines = [extra];
  for (const [name, { contract, ...server }] of Object.entries(servers)) {
    const path = server.url && !contract ? undefined : typeof contract === 'string' ? contract : contractFile(dir, name, contract);
    lines.push(`[servers.${key(name)}]`, ...Object.entries(path ? { ...server, contract: path } : server).filter(([, v]) => v !== undefined).map(([k, v]) => `${k} = ${toml(v)}`), '');
  }
  writeFileSync(join(dir, 'cella.toml'), lines.join('\n'));
}

/** One node; `start` again after `stop` or `kill` keeps its directory, port and token. */
export class Node {
  constructor({ servers = {}, extra, env, dir } = {}) {
    this.dir = dir ?? scratch('node'); this.log = ''; this.env = env ?? {};
    configure(this.dir, { servers, extra });
    for (const part of ['config', 'state', 'cache', 'runtime']) mkdirSync(join(this.dir, part), { recursive: true, mode: 0o700 });
  }
  get config() { return join(this.dir, 'cella.toml'); }
  get tokenFile() { return join(this.dir, 'token'); }
  get token() { return readFileSync(this.tokenFile, 'utf8').trim(); }
  get environment() { return { ...process.env, XDG_CONFIG_HOME: join(this.dir, 'config'), XDG_STATE_HOME: join(this.dir, 'state'), XDG_CACHE_HOME: join(this.dir, 'cache'), XDG_RUNTIME_DIR: join(this.dir, 'runtime'), NO_COLOR: '1', ...this.env }; }
  get origin() { return `http://127.0.0.1:${this.port}`; }
  url(server) { return server ? `${this.origin}/mcp/servers/${server}` : `${this.origin}/mcp`; }

  async start() {
    if (!existsSync(program)) throw new Skip(`there is no program at ${program}: cargo build --release`);
    this.port ??= await freePort(); this.log = ''; let out = '';
    const child = spawn(program, ['up', '--config', this.config, '--listen', `127.0.0.1:${this.port}`, '--token-file', this.tokenFile], { env: this.environment, cwd: this.dir, stdio: ['ignore', 'pipe', 'pipe'] });
    this.child = child; running.add(child);
    this.exited = new Promise((ok) => { child.on('exit', (code, signal) => { running.delete(child); ok({ code, signal }); }); });
    child.stderr.on('data', (d) => { this.log = (this.log + d).slice(-100_000); });
    await new Promise((ok, no) => {
      const timer = setTimeout(() => no(new Error(`not ready after ${READY_LIMIT_MS} ms: ${out} ${this.log.slice(-800)}`)), READY_LIMIT_MS);
      child.stdout.on('data', (d) => { out += d; this.log = (this.log + d).slice(-100_000); if (/\bready\b/.test(out) && out.includes(String(this.port))) { clearTimeout(timer); ok(); } });
      this.exited.then(({ code, signal }) => { clearTimeout(timer); no(new Error(`the node ended (${code ?? signal}): ${out} ${this.log.slice(-1500)}`)); });
    });
    return this;
  }
  get pid() { return this.child.pid; }
  /** Asks it to end; fails when it does not. */
  async stop() {
    this.child.kill('SIGTERM');
    const timer = setTimeout(() => this.child.kill('SIGKILL'), STOP_LIMIT_MS);
    const end = await this.exited; clearTimeout(timer);
    if (end.signal === 'SIGKILL') throw new Error(`the node did not end within ${STOP_LIMIT_MS} ms of SIGTERM: ${this.log.slice(-800)}`);
    return end;
  }
  async kill() { this.child.kill('SIGKILL'); return this.exited; }
  /** Runs a verb of the program against this configuration: {status, out, err}. */
  cli(...args) {
    const run = spawnSync(program, [...args, '--config', this.config], { env: { ...this.environment, CELLA_TOKEN_FILE: this.tokenFile }, cwd: this.dir, encoding: 'utf8', timeout: 60_000 });
    return { status: run.status, out: run.stdout, err: run.stderr };
  }
}

/** A reference server over HTTP: {url, base, stop}. */
export async function reference(args = [], port) {
  port ??= await freePort();
  const child = spawn(node, [refserver, '--port', String(port), ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  running.add(child); const exited = new Promise((ok) => { child.on('exit', () => { running.delete(child); ok(); }); });
  await new Promise((ok, no) => { child.stdout.once('data', ok); exited.then(() => no(new Error('the reference server ended'))); });
  const base = `http://127.0.0.1:${port}`;
  return { port, base, url: `${base}/mcp`, sse: `${base}/sse`, child, pid: child.pid, stop: () => { child.kill('SIGTERM'); return exited; }, kill: () => { child.kill('SIGKILL'); return exited; } };
}

/** The same server as a program to be started by Cella. */
export const referenceStdio = (args = []) => ({ command: node, args: [refserver, '--transport', 'stdio', ...args], contract: {} });
