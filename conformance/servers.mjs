// Third-party servers: each is listed and called directly and through Cella, by clients of both eras, and the two lists
// must be the same to the byte of every definition.
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { Node, freePort } from './lib/cella.mjs';
import { at, read, write } from './lib/exact.mjs';
import { connect, textOf } from './lib/mcp.mjs';
import { scratch } from './lib/places.mjs';
import { Skip, contains, ensure, equal, finish, skipped, step, test } from './lib/report.mjs';
import { until } from './lib/wait.mjs';
import { SERVERS } from './servers/table.mjs';

/** A browser starts slowly on two cores. */
const SLOW_LIMIT_MS = 120_000;
/** What Cella declares to a server: some register tools only for a client that has these. */
const CAPABILITIES = { roots: { listChanged: true }, sampling: { tools: {}, context: {} }, elicitation: { form: {}, url: {} } };
/** What the protocol wants of a merged list's tool names. */
const NAME = /^[A-Za-z0-9_.-]{1,64}$/;

/** What Cella and a direct client both need to know of an entry. */
async function place(entry) {
  const work = scratch(entry.name); entry.prepare?.(work);
  const call = typeof entry.call === 'function' ? entry.call(work) : entry.call;
  const base = { ...entry, work, call };
  if (entry.serve) {
    const port = await freePort();
    const child = spawn(entry.serve.command, [...entry.serve.args, entry.listen], { env: { ...process.env, PORT: String(port) }, stdio: 'ignore' });
    process.on('exit', () => child.kill('SIGKILL'));
    const url = `http://127.0.0.1:${port}${entry.path}`;
    await until(`${entry.name} listens`, () => fetch(url, { signal: AbortSignal.timeout(2000) }).then((r) => { r.body?.cancel(); return true; }, () => false));
    return { ...base, child, server: { url, transport: entry.transport } };
  }
  const { command, args } = entry.start;
  const server = { command, args: [...args, ...(entry.args?.(work) ?? [])], env: entry.env?.(work), cwd: entry.inWork ? work : undefined, contract: { write: [work] } };
  return { ...base, server };
}

function missing(entry) {
  if (!entry.start && !entry.serve) return 'it is not installed; see the lines above';
  return entry.needs && !existsSync(entry.needs) ? `${entry.needs} is not there` : undefined;
}

/** Speaks to the server without Cella, in whichever era it knows. */
async function direct(entry) {
  if (entry.transport === 'sse') return undefined; // the list over SSE is that of the same server over stdio
  const target = entry.server.url ?? entry.server;
  for (const era of ['modern', 'legacy']) { try { return await connect(target, { era, capabilities: CAPABILITIES }); } catch (error) { if (era === 'legacy') throw error; } }
}

/** Every tool's definition as it was written, by name. */
async function definitions(client) {
  const { text } = await client.request('tools/list');
  return new Map(at(read(text), 'result', 'tools').items.map((tool) => [at(tool, 'name').value, write(tool)]));
}

async function compareLists(entry, own, cella) {
  const want = await definitions(own), client = await connect(cella.url(entry.name), { token: cella.token, capabilities: {} });
  const got = await definitions(client); await client.close();
  equal([...got.keys()].sort(), [...want.keys()].sort(), 'names');
  for (const [name, definition] of want) equal(got.get(name), definition, `definition of ${name}`);
}

async function calls(entry, cella, era) {
  const client = await connect(cella.url(entry.name), { era, token: cella.token, capabilities: {} });
  const result = await client.tool(...entry.call); await client.close();
  contains(textOf(result), entry.expect, 'answer');
}

async function all(cella, entries) {
  for (const entry of entries) {
    const limit = entry.slow ? SLOW_LIMIT_MS : undefined;
    await test(`${entry.name}: its list through Cella is its own list`, async () => {
      const own = await direct(entry);
      if (!own) return;
      try { await compareLists(entry, own, cella); } finally { await own.close(); }
    }, limit);
    for (const era of ['modern', 'legacy']) await test(`${entry.name}: a ${era} client calls ${entry.call[0]}`, () => calls(entry, cella, era), limit);
  }
  await test('the merged list holds the tools of every server', async () => {
    const client = await connect(cella.url(), { token: cella.token, capabilities: {} });
    const names = (await client.list('tools')).map((tool) => tool.name); await client.close();
    equal(new Set(names).size, names.length, 'different names');
    for (const name of names) ensure(NAME.test(name), `${name} is no portable name`);
    for (const { name } of entries) ensure(names.some((tool) => tool.startsWith(name)), `no tool of ${name} in ${names.length} tools`);
  }, SLOW_LIMIT_MS);
}

const entries = [];
for (const entry of SERVERS) {
  const why = missing(entry);
  if (why) skipped(entry.name, why); else entries.push(await place(entry));
}
if (process.argv.includes('--direct')) {
  for (const entry of entries) await test(`${entry.name}: directly`, async () => { const client = await direct(entry); if (!client) throw new Skip('sse'); const started = Date.now(); contains(textOf(await client.tool(...entry.call)), entry.expect, 'answer'); console.log(`   ${client.constructor.name} call ${Date.now() - started} ms`); await client.close(); }, SLOW_LIMIT_MS);
} else {
  const cella = new Node({ servers: Object.fromEntries(entries.map(({ name, server }) => [name, server])) });
  if (await step(`the node starts with ${entries.length} servers`, () => cella.start())) {
    await all(cella, entries);
    await step('the node stops when asked', () => cella.stop());
  }
}
for (const { child } of entries) child?.kill();
finish();
