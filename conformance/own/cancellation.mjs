// A caller that goes away or cancels is heard by the server, whatever lies between.
import { textOf } from '../lib/mcp.mjs';
import { ensure, equal, test } from '../lib/report.mjs';
import { until } from '../lib/wait.mjs';

export async function cancellation({ open, pairs }) {
  for (const { era, name } of pairs) {
    await test(`${era} client -> ${name}: cancelling a call reaches the server`, async () => {
      const via = await open(name, era), count = async () => +textOf(await via.tool('fx_cancel_count'));
      const before = await count(), stop = new AbortController();
      let started; const running = new Promise((go) => { started = go; });
      const call = via.request('tools/call', { name: 'fx_slow', arguments: { ms: 20_000 } }, { signal: stop.signal, meta: { progressToken: 'p' }, notify: () => started() });
      call.catch(() => {});
      await running; stop.abort();
      await until('the server notices', async () => (await count()) === before + 1, 5000);
      await via.close();
    });

    await test(`${era} client -> ${name}: a client that vanishes cancels its call`, async () => {
      const via = await open(name, era), watcher = await open(name, era), count = async () => +textOf(await watcher.tool('fx_cancel_count'));
      const before = await count();
      let started; const running = new Promise((go) => { started = go; });
      via.request('tools/call', { name: 'fx_slow', arguments: { ms: 20_000 } }, { meta: { progressToken: 'p' }, notify: () => started() }).catch(() => {});
      await running;
      // a legacy stream may be taken up again, so only the end of its session is an end
      await via.close({ leave: true });
      await until('the server notices', async () => (await count()) === before + 1, 5000);
      await watcher.close();
    });

    await test(`${era} client -> ${name}: other calls go on while one is cancelled`, async () => {
      const via = await open(name, era), stop = new AbortController();
      let started; const running = new Promise((go) => { started = go; });
      const doomed = via.request('tools/call', { name: 'fx_slow', arguments: { ms: 20_000 } }, { signal: stop.signal, meta: { progressToken: 'a' }, notify: () => started() });
      doomed.catch(() => {});
      const other = via.tool('fx_slow', { ms: 400 });
      await running; stop.abort();
      equal(textOf(await other), 'slept', 'the other call');
      ensure(await Promise.race([doomed.then((got) => Boolean(got.message.error), () => true), new Promise((go) => { setTimeout(() => go(true), 500); })]), 'the cancelled call returned a result');
      await via.close();
    });
  }
}
