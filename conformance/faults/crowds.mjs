// A thousand clients that come and go, well and badly behaved; readers that do not read. Nothing grows.
import http from 'node:http';
import { referenceStdio } from '../lib/cella.mjs';
import { LEGACY, MODERN, connect } from '../lib/mcp.mjs';
import { naming, residentMiB } from '../lib/processes.mjs';
import { contains, ensure, test } from '../lib/report.mjs';
import { pause, until } from '../lib/wait.mjs';
import { answer, end, settled, stage } from './stage.mjs';

const CLIENTS = 1000;
/** So many of them at a time. */
const AT_ONCE = 25;
/** What a thousand finished clients may leave in memory, allocator included. */
const GROWTH_MIB_MAX = 24;
const SLOW_READERS = 30, BIG_BYTES = 3_000_000;
/** One answer per reader may wait in the node; not more. */
const READERS_MIB_MAX = (SLOW_READERS * BIG_BYTES * 2) / 2 ** 20 + GROWTH_MIB_MAX;

async function crowd(count, one) {
  let next = 0;
  await Promise.all(Array.from({ length: AT_ONCE }, async () => { while (next < count) { const n = next; next += 1; await one(n); } }));
}

/** Sends a call and never reads the answer. */
function slowReader(cella, bytes) {
  const body = JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name: 'fx_big', arguments: { bytes }, _meta: { 'io.modelcontextprotocol/protocolVersion': MODERN, 'io.modelcontextprotocol/clientCapabilities': {} } } });
  const request = http.request(cella.url('one'), { method: 'POST', agent: false, headers: { authorization: `Bearer ${cella.token}`, 'content-type': 'application/json', accept: 'application/json, text/event-stream', 'mcp-protocol-version': MODERN, 'mcp-method': 'tools/call', 'mcp-name': 'fx_big', 'content-length': Buffer.byteLength(body) } }, (response) => response.pause());
  request.on('error', () => {}).end(body);
  return request;
}

export async function crowds() {
  for (const [title, era, leave] of [['legacy clients that close their sessions', 'legacy', true], ['legacy clients that just vanish', 'legacy', false], ['modern clients', 'modern', true]]) {
    await test(`${CLIENTS} ${title}: nothing stays behind`, async () => {
      const on = await stage((mark) => ({ one: referenceStdio(['--name', mark]) })), { cella, mark } = on;
      try {
        const visit = async (n) => {
          const client = await connect(cella.url('one'), { era, token: cella.token, hear: n % 2 === 0 });
          contains(await answer(client.tool('greet', { name: `c${n}` })), `Hello, c${n}!`, 'answer');
          await client.wire.close({ leave });
        };
        await crowd(AT_ONCE * 2, visit);
        const held = settled(cella), before = residentMiB(cella.pid), processes = naming(mark).length;
        await crowd(CLIENTS, visit);
        await held();
        const grown = residentMiB(cella.pid) - before;
        console.log(`   ${title}: resident memory ${before.toFixed(1)} MiB, ${grown.toFixed(1)} MiB more afterwards`);
        ensure(grown <= GROWTH_MIB_MAX, `${grown.toFixed(1)} MiB more than before`);
        ensure(naming(mark).length === processes, `${naming(mark).length} server processes, ${processes} before`);
      } finally { await end(on); }
    }, 180_000);
  }

  await test(`${SLOW_READERS} readers that do not read: others are served, memory is bounded`, async () => {
    const on = await stage((mark) => ({ one: referenceStdio(['--fx', '--name', mark]), two: referenceStdio() })), { cella, open } = on;
    try {
      const [client, other] = [await open('one'), await open('two')];
      await Promise.all([client, other].map((c) => c.tool('greet', { name: 'warm' })));
      const held = settled(cella), before = residentMiB(cella.pid);
      const readers = Array.from({ length: SLOW_READERS }, () => slowReader(cella, BIG_BYTES));
      await pause(1500);
      for (const c of [client, other]) { const from = Date.now(); contains(await answer(c.tool('greet', { name: 'x' })), 'Hello, x', 'answer'); ensure(Date.now() - from < 2000, `a call took ${Date.now() - from} ms beside slow readers`); }
      const grown = residentMiB(cella.pid) - before;
      console.log(`   slow readers: ${grown.toFixed(1)} MiB more while they wait`);
      ensure(grown <= READERS_MIB_MAX, `${grown.toFixed(1)} MiB more while they wait`);
      readers.forEach((r) => r.destroy());
      await held(); await Promise.all([client.close(), other.close()]);
    } finally { await end(on); }
  });

  await test('a subscriber that does not read does not fill the memory', async () => {
    const on = await stage((mark) => ({ one: referenceStdio(['--name', mark]) })), { cella, open } = on;
    try {
      const client = await open('one'), deaf = await connect(cella.url('one'), { era: 'legacy', revision: LEGACY, token: cella.token });
      await client.tool('greet', { name: 'warm' });
      deaf.wire.hearing?.pause();
      const before = residentMiB(cella.pid);
      await crowd(3000, () => client.tool('test_trigger_tool_change'));
      const grown = residentMiB(cella.pid) - before;
      ensure(grown <= GROWTH_MIB_MAX, `${grown.toFixed(1)} MiB more after 3000 changes`);
      await until('the reader that reads is served', async () => (await answer(client.tool('greet', { name: 'y' }))) === 'Hello, y!');
      await Promise.all([client, deaf].map((c) => c.close()));
    } finally { await end(on); }
  }, 90_000);
}
