// kill -9 of the server, of the node and of the client, in the middle of calls.
import { spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { reference, referenceStdio } from '../lib/cella.mjs';
import { node } from '../lib/places.mjs';
import { naming } from '../lib/processes.mjs';
import { contains, ensure, equal, test } from '../lib/report.mjs';
import { until } from '../lib/wait.mjs';
import { CODE, answer, end, gone, heard, server, settled, stage, words } from './stage.mjs';

/** A caller learns of a dead server after this. */
const NEWS_LIMIT_MS = 2000;
/** How often the node is killed in the middle of payments. */
const ROUNDS = 5;

const paid = (file) => (existsSync(file) ? readFileSync(file, 'utf8').trim().split('\n') : []);

export async function kills() {
  for (const era of ['modern', 'legacy']) await test(`kill -9 of a stdio server: a ${era} caller hears of it, the next call works`, async () => {
    const on = await stage((mark) => ({ one: referenceStdio(['--fx', '--name', mark]), two: referenceStdio() })), { mark, open } = on;
    try {
      const [client, other] = [await open('one', era), await open('two', era)];
      await other.tool('greet', { name: 'warm' });
      let started; const running = new Promise((go) => { started = go; });
      const call = answer(client.request('tools/call', { name: 'fx_slow', arguments: { ms: 60_000 } }, { meta: { progressToken: 1 }, notify: () => started() }).then((got) => { if (got.message.error) throw Object.assign(new Error(got.message.error.message), got.message.error); return got.message.result; }));
      await running;
      for (const p of naming(mark)) process.kill(p.pid, 'SIGKILL');
      const from = Date.now(), error = await call;
      ensure(error instanceof Error && CODE.test(words(error)), `the caller heard ${error instanceof Error ? words(error) : error}`);
      ensure(Date.now() - from <= NEWS_LIMIT_MS, `the news took ${Date.now() - from} ms`);
      contains(await answer(other.tool('greet', { name: 'two' })), 'Hello, two', 'the other server');
      await until('the killed server works again', async () => (await answer(client.tool('greet', { name: 'B' }))) === 'Hello, B!', 10_000, 200);
      await Promise.all([client.close(), other.close()]);
    } finally { await end(on); }
  });

  await test('kill -9 of an HTTP server: the caller hears of it', async () => {
    const peer = await reference(['--fx']), on = await stage(() => ({ one: { url: peer.url } }));
    try {
      const client = await on.open('one');
      let started; const running = new Promise((go) => { started = go; });
      const call = client.request('tools/call', { name: 'fx_slow', arguments: { ms: 60_000 } }, { meta: { progressToken: 1 }, notify: () => started() });
      await running; await peer.kill();
      const from = Date.now(), { message } = await call, error = heard(message.result ?? {});
      ensure(error instanceof Error && CODE.test(words(error)), `the caller heard ${JSON.stringify(message)}`);
      ensure(Date.now() - from <= NEWS_LIMIT_MS, `the news took ${Date.now() - from} ms`);
      await client.close();
    } finally { await peer.kill(); await end(on); }
  });

  await test('kill -9 of clients in the middle of calls: nothing of theirs stays', async () => {
    const on = await stage((mark) => ({ one: referenceStdio(['--fx', '--name', mark]) })), { cella, open } = on;
    try {
      const watcher = await open('one'); await watcher.tool('greet', { name: 'warm' });
      const held = settled(cella), before = +(await answer(watcher.tool('fx_cancel_count')));
      const script = `import('${new URL('../lib/mcp.mjs', import.meta.url)}').then(async ({ connect }) => { const c = await connect(process.argv[1], { token: process.argv[2] }); await Promise.all(Array.from({ length: 5 }, () => c.request('tools/call', { name: 'fx_slow', arguments: { ms: 60000 } }, { meta: { progressToken: Math.random() }, notify: () => console.log('started') }))); })`;
      const children = Array.from({ length: 4 }, () => spawn(node, ['-e', script, cella.url('one'), cella.token], { stdio: ['ignore', 'pipe', 'ignore'] }));
      await Promise.all(children.map((child) => new Promise((go) => { let text = ''; child.stdout.on('data', (d) => { text += d; if (text.split('started').length === 6) go(); }); })));
      children.forEach((child) => child.kill('SIGKILL'));
      await until('twenty calls are cancelled', async () => { const n = +(await answer(watcher.tool('fx_cancel_count'))) - before; return n === 20 || `${n} cancelled`; }, 10_000, 100);
      await held(); await watcher.close();
    } finally { await end(on); }
  });

  await test('kill -9 of the node: no process stays, and no effect happens twice', async () => {
    let file;
    const on = await stage((mark) => { file = join(mark, 'payments'); return { bank: server('ledger', file) }; }), { mark, cella, open } = on;
    try {
      const done = [];
      for (let round = 0; round < ROUNDS; round += 1) {
        const client = await open('bank', 'modern');
        const warm = `warm-${round}`; contains(await answer(client.tool('pay', { id: warm })), 'paid', 'payment'); done.push(warm);
        const calls = [0, 1, 2].map((n) => answer(client.tool('pay', { id: `${round}-${n}`, ms: 60_000 })));
        await until('the payments are made', () => paid(file).filter((id) => id.startsWith(`${round}-`)).length === 3);
        await cella.kill();
        await gone(mark);
        for (const got of await Promise.all(calls)) ensure(got instanceof Error, `a killed node answered ${got}`);
        await cella.start();
        const verified = cella.cli('log', 'verify');
        equal(verified.status, 0, `round ${round}: log verify (${verified.out} ${verified.err})`);
        await client.close();
      }
      const all = paid(file);
      equal(all.length, new Set(all).size, 'payments, each once');
      equal(all.length, ROUNDS * 4, 'payments');
    } finally { await end(on); }
  }, 120_000);
}
