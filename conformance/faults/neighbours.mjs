// One of ten servers hangs, one crashes, one talks garbage: seven work, and the list comes at once.
import { referenceStdio } from '../lib/cella.mjs';
import { contains, ensure, equal, test } from '../lib/report.mjs';
import { until } from '../lib/wait.mjs';
import { CODE, answer, end, server, stage, words } from './stage.mjs';

const GOOD = ['one', 'two', 'three', 'four', 'five', 'six', 'seven'], BAD = ['hangs', 'crashes', 'garbage'];
/** The promise for a list from the cache, with sick neighbours. */
const LIST_LIMIT_MS = 300;
/** Seven JavaScript servers start on two busy cores. */
const WARM_LIMIT_MS = 40_000;

const servers = (mark) => Object.fromEntries([...GOOD.map((name) => [name, referenceStdio(['--name', mark])]), ...BAD.map((mode) => [mode, server(mode)])]);
const counts = (tools) => Object.fromEntries([...GOOD, ...BAD].map((name) => [name, tools.filter((t) => t.name.startsWith(name)).length]));

async function listed(open, era) {
  const client = await open(undefined, era), from = Date.now(), tools = await client.list('tools'), took = Date.now() - from;
  await client.close();
  return { took, counts: counts(tools) };
}

export async function neighbours() {
  await test('seven of ten: the sick ones hold up nobody', async () => {
    const on = await stage(servers), { cella, open } = on;
    try {
      await until('the seven are known', async () => { const { counts: n } = await listed(open, 'modern'); return GOOD.every((name) => n[name] > 0) || JSON.stringify(n); }, WARM_LIMIT_MS, 300);
      for (const era of ['modern', 'legacy']) {
        const { took, counts: n } = await listed(open, era);
        ensure(took <= LIST_LIMIT_MS, `${era}: the list took ${took} ms`);
        for (const name of GOOD) ensure(n[name] > 30, `${era}: ${n[name]} tools of ${name}`);
      }
      const clients = await Promise.all(GOOD.map((name) => open(name)));
      for (const [n, client] of clients.entries()) contains(await answer(client.tool('greet', { name: GOOD[n] })), GOOD[n], GOOD[n]);
      await Promise.all(clients.map((c) => c.close()));
      const status = cella.cli('status', '--json');
      equal(status.status, 3, 'exit status of a degraded node');
      for (const name of BAD) contains(status.out, `"${name}"`, 'status');
      for (const name of ['crashes', 'garbage']) {
        const error = await open(name).then((c) => answer(c.tool('anything')), (e) => e);
        ensure(error instanceof Error && CODE.test(words(error)), `${name}: ${error instanceof Error ? words(error) : error}`);
      }
      await cella.kill(); await cella.start();
      const { took, counts: n } = await listed(open, 'modern');
      ensure(took <= LIST_LIMIT_MS, `after a restart the list took ${took} ms`);
      for (const name of GOOD) ensure(n[name] > 30, `after a restart: ${n[name]} tools of ${name}`);
    } finally { await end(on); }
  }, 120_000);
}
