// Servers and nodes that start slowly, die, come back, or come back speaking another era.
import { Node, reference, referenceStdio } from '../lib/cella.mjs';
import { connect, textOf } from '../lib/mcp.mjs';
import { naming } from '../lib/processes.mjs';
import { scratch } from '../lib/places.mjs';
import { contains, ensure, equal, test } from '../lib/report.mjs';
import { pause, until } from '../lib/wait.mjs';

/** One bad server may not cost the others more than this. */
const UNDISTURBED_LIMIT_MS = 2000;

const within = async (limit, what, promise) => { const from = Date.now(), got = await promise; ensure(Date.now() - from <= limit, `${what} took ${Date.now() - from} ms`); return got; };
const shell = (script) => ({ command: '/bin/sh', args: ['-c', script], contract: {} });
const quoted = ({ command, args }) => [command, ...args].join(' ');

async function withNode(servers, body) {
  const cella = await new Node({ servers }).start();
  const open = (name, era = 'modern', options = {}) => connect(cella.url(name), { era, token: cella.token, ...options });
  try { await body(cella, open); } finally { await cella.kill(); }
}

export async function restarts() {
  for (const [from, to] of [['modern', 'legacy'], ['legacy', 'modern']]) {
    await test(`an HTTP server that comes back ${to} instead of ${from} goes on working`, async () => {
      const first = await reference(['--era', from]);
      await withNode({ one: { url: first.url } }, async (_, open) => {
        const client = await open('one');
        contains(textOf(await client.tool('greet', { name: 'A' })), 'Hello, A', 'before');
        await first.kill();
        const second = await reference(['--era', to], first.port);
        await until('calls work again', async () => textOf(await client.tool('greet', { name: 'B' }).catch((e) => ({ content: [{ text: e.message }] }))) === 'Hello, B!', 10_000, 200);
        await client.close(); await second.kill();
      });
      await first.kill();
    });
  }

  await test('each run has a process of its own, and a request of no run has none', async () => {
    const mark = scratch('mark');
    await withNode({ one: { ...referenceStdio(['--name', mark]), isolation: 'run' } }, async (_, open) => {
      const client = await open('one'), session = await open('one', 'legacy');
      const greet = (run) => client.tool('greet', { name: 'R' }, { meta: { 'io.cella/run': run } });
      for (const run of ['a', 'b', 'a']) contains(textOf(await greet(run)), 'Hello, R', run);
      const two = naming(mark).length;
      contains(textOf(await session.tool('greet', { name: 'S' })), 'Hello, S', 'a session is a run');
      equal(naming(mark).length - two, 1, 'processes more for the session');
      const refused = await client.tool('greet', { name: 'N' }).catch((error) => error);
      contains(JSON.stringify(refused.data ?? refused) + refused.message, 'CE2124', 'without a run');
      await Promise.all([client.close(), session.close()]);
    });
  });

  await test('a killed stdio server is started again for the next call', async () => {
    const mark = scratch('mark');
    await withNode({ one: referenceStdio(['--name', mark]) }, async (_, open) => {
      const client = await open('one');
      await client.tool('greet', { name: 'A' });
      for (const p of naming(mark)) process.kill(p.pid, 'SIGKILL');
      await until('calls work again', async () => textOf(await client.tool('greet', { name: 'B' }).catch((e) => ({ content: [{ text: e.message }] }))) === 'Hello, B!', 10_000, 200);
      await client.close();
    });
  });

  await test('a client survives the restart of the node', async () => {
    await withNode({ one: referenceStdio() }, async (cella, open) => {
      const [modern, legacy] = [await open('one', 'modern'), await open('one', 'legacy')];
      await cella.kill(); await cella.start();
      contains(textOf(await modern.tool('greet', { name: 'M' })), 'Hello, M', 'modern');
      const refused = await legacy.tool('greet', { name: 'L' }).then(textOf, (error) => error);
      // the protocol's own way: 404, then a new session; a node that kept the session is fine too
      ensure(refused === 'Hello, L!' || refused.status === 404 || /session/i.test(refused.message), `legacy: ${refused}`);
      const again = await open('one', 'legacy');
      contains(textOf(await again.tool('greet', { name: 'L' })), 'Hello, L', 'legacy');
      await Promise.all([modern, again].map((c) => c.close()));
    });
  });

  await test('a slow server holds up nobody, and answers when it is up', async () => {
    await withNode({ slow: shell(`sleep 5; exec ${quoted(referenceStdio())}`), quick: referenceStdio() }, async (_, open) => {
      const client = await within(UNDISTURBED_LIMIT_MS, 'discover', open('slow'));
      await within(UNDISTURBED_LIMIT_MS, 'discover of all', open(undefined).then((c) => c.close()));
      const late = client.tool('greet', { name: 'slow' });
      const quick = await open('quick');
      await quick.tool('greet', { name: 'warm' });
      await within(UNDISTURBED_LIMIT_MS, 'a call of the other server', quick.tool('greet', { name: 'q' }));
      contains(textOf(await late), 'Hello, slow', 'the slow server');
      await Promise.all([client.close(), quick.close()]);
    });
  });

  await test('servers that hang, crash or talk garbage are named and hold up nobody', async () => {
    const bad = { hangs: shell('sleep 1000'), crashes: shell('echo "cannot open the database" >&2; exit 3'), garbage: shell('while :; do echo "not json"; sleep 0.05; done'), missing: { command: '/no/such/program', contract: {} } };
    await withNode({ good: referenceStdio(), ...bad }, async (cella, open) => {
      const good = await open('good');
      contains(textOf(await good.tool('greet', { name: 'g' })), 'Hello, g', 'the good server');
      for (const name of ['crashes', 'garbage', 'missing']) {
        const error = await open(name).then((c) => c.tool('x'), (e) => e).catch((e) => e);
        // A call that fails under way is a result with isError, so that the model reads it; anything else is an error.
        ensure((error instanceof Error || error?.isError) && /CE\d{4}/.test((error.message ?? '') + JSON.stringify(error.data ?? error)), `${name}: no code in ${error?.message ?? JSON.stringify(error)}`);
      }
      await within(UNDISTURBED_LIMIT_MS, 'a call meanwhile', good.tool('greet', { name: 'g' }));
      const status = cella.cli('status', '--json');
      equal(status.status, 3, 'exit status of a degraded node');
      for (const name of Object.keys(bad)) contains(status.out, `"${name}"`, 'status');
      contains(status.out, 'cannot open the database', "the server's last words");
      const all = await open(undefined), names = (await all.list('tools')).map((t) => t.name);
      ensure(names.some((n) => n.startsWith('good')), 'the good tools are listed');
      await Promise.all([good.close(), all.close()]);
    });
  }, 120_000);

  await test('an idle server does not hinder the node from ending', async () => {
    const mark = scratch('mark');
    const cella = await new Node({ servers: { one: referenceStdio(['--name', mark]) } }).start();
    const client = await connect(cella.url('one'), { token: cella.token });
    await client.tool('greet', { name: 'A' });
    equal((await cella.stop()).code, 0, 'exit status'); await client.close();
    await pause(100);
    equal(naming(mark).length, 0, 'processes left');
  });
}
restarts.needsNode = true;
