// Two clients share one upstream; neither sees, inherits or disturbs what belongs to the other.
import { RpcError, textOf } from '../lib/mcp.mjs';
import { contains, ensure, equal, test } from '../lib/report.mjs';

/** -32021: the client lacks a capability that the server needs. */
const MISSING_CAPABILITY = -32021;
const accept = (name) => (method) => (method === 'elicitation/create' ? { action: 'accept', content: { value: name, username: name, email: 'e@example.invalid' } } : {});

export async function sharing({ open, pairs, direct }) {
  for (const { era, name } of pairs) {
    const title = `${era} clients -> ${name}`;

    // On one pipe a legacy server cannot say which call it asks for; there, calls of different clients take turns.
    await test(`${title}: each is asked its own questions`, async () => {
      const [ann, bob] = await Promise.all(['Ann', 'Bob'].map((who) => open(name, era, { answer: accept(who) })));
      const answers = await Promise.all(Array.from({ length: 10 }, (_, n) => (n % 2 ? bob : ann).tool('test_elicitation', { message: 'who?' })));
      await Promise.all([ann.close(), bob.close()]);
      answers.forEach((answer, n) => contains(textOf(answer), n % 2 ? 'Bob' : 'Ann', 'answer'));
    });

    if (!direct) await test(`${title}: a client without a capability does not borrow the other's`, async () => {
      const [able, unable] = await Promise.all([open(name, era, { answer: accept('Ann') }), open(name, era, { capabilities: {} })]);
      const [good, bad] = await Promise.allSettled([able.tool('test_elicitation', { message: 'x' }), unable.tool('test_elicitation', { message: 'x' })]);
      await Promise.all([able.close(), unable.close()]);
      equal(good.status, 'fulfilled', 'the able client');
      if (bad.status === 'rejected') ensure(bad.reason instanceof RpcError, `no JSON-RPC error: ${bad.reason}`);
      else ensure(!textOf(bad.value).includes('accept'), 'the question was answered by somebody else');
      if (era === 'modern' && bad.status === 'rejected') equal(bad.reason.code, MISSING_CAPABILITY, 'code');
    });

    await test(`${title}: equal progress tokens and request ids do not mix`, async () => {
      const clients = await Promise.all([0, 1, 2].map(() => open(name, era)));
      const seen = await Promise.all(clients.map(async (client) => {
        const progress = [];
        const { message } = await client.request('tools/call', { name: 'test_tool_with_progress', arguments: {} }, { id: 77, meta: { progressToken: 'same' }, notify: (m) => { if (m.method === 'notifications/progress') progress.push([m.params.progressToken, m.params.progress]); } });
        // Tokens must be unique among the requests that a server has in hand, so a gateway gives it one of its own.
        if (direct) equal(textOf(message.result), 'same', 'the token the server saw');
        return progress;
      }));
      await Promise.all(clients.map((client) => client.close()));
      for (const progress of seen) equal(progress, [['same', 0], ['same', 50], ['same', 100]], 'progress');
    });
  }

  await test('modern clients: a log level belongs to one request', async () => {
    for (const name of new Set(pairs.filter((p) => p.era === 'modern' && (direct || p.name !== 'stdio-legacy')).map((p) => p.name))) {
      const client = await open(name, 'modern');
      const logs = async (meta) => { const seen = []; await client.request('tools/call', { name: 'test_tool_with_logging', arguments: {} }, { meta, notify: (m) => seen.push(m.method) }); return seen.filter((m) => m === 'notifications/message').length; };
      const [loud, silent] = await Promise.all([logs({ 'io.modelcontextprotocol/logLevel': 'info' }), logs({})]);
      await client.close();
      equal([loud, silent], [3, 0], `${name}: messages with and without a level`);
    }
  });
}
