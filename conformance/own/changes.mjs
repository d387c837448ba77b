// What changes at a server is known to every client that asked, within a second, in the client's own way.
import { equal, test } from '../lib/report.mjs';
import { pause, until } from '../lib/wait.mjs';

/** The promise: a change arrives within a second. */
const ARRIVAL_LIMIT_MS = 1000;
const URI = 'test://watched-resource';

/** Hears notifications in the client's way. */
async function hear(client, era, interest) {
  const heard = [];
  if (era === 'modern') {
    const watch = await client.listen(interest, (m) => heard.push(m));
    return { heard, stop: watch.stop };
  }
  client.onHeard = (m) => heard.push(m);
  for (const uri of interest.resourceSubscriptions ?? []) await client.result('resources/subscribe', { uri });
  return { heard, stop() {} };
}
const arrives = (heard, method) => until(`${method} arrives`, () => heard.some((m) => m.method === method) || heard.map((m) => m.method).join(), ARRIVAL_LIMIT_MS, 10);

export async function changes({ open, pairs, direct }) {
  for (const { era, name, http } of pairs) {
    const title = `${era} client -> ${name}`;
    await test(`${title}: a changed tool list is announced within a second`, async () => {
      const client = await open(name, era), { heard, stop } = await hear(client, era, { toolsListChanged: true });
      await client.list('tools');
      await client.tool('test_trigger_tool_change');
      await arrives(heard, 'notifications/tools/list_changed');
      stop(); await client.close();
    });

    if (http) await test(`${title}: an updated resource is announced to its subscriber only`, async () => {
      const client = await open(name, era), other = await open(name, era);
      const [mine, theirs] = [await hear(client, era, { resourceSubscriptions: [URI] }), await hear(other, era, { resourceSubscriptions: ['test://static-text'] })];
      await fetch(`${http.base}/__updated?uri=${encodeURIComponent(URI)}`, { method: 'POST' });
      await arrives(mine.heard, 'notifications/resources/updated');
      equal(mine.heard.find((m) => m.method === 'notifications/resources/updated').params.uri, URI, 'uri');
      await pause(200);
      equal(theirs.heard.filter((m) => m.method === 'notifications/resources/updated').length, 0, 'updates the other client heard');
      mine.stop(); theirs.stop(); await Promise.all([client.close(), other.close()]);
    });
  }
  for (const name of ['http-modern', 'stdio-modern', 'http-dual']) if (pairs.some((p) => p.name === name)) for (const all of direct ? [false] : [false, true]) await test(`modern client -> ${name}${all ? ' among all' : ''}: the states of its task arrive, with its name for it`, async () => {
    const capabilities = { elicitation: {}, extensions: { 'io.modelcontextprotocol/tasks': {} } };
    const client = await open(all ? undefined : name, 'modern', { capabilities }), heard = [];
    const tools = await client.list('tools'), tool = all ? tools.find((t) => t.name.startsWith(name) && t.name.endsWith('slow_compute')).name : 'slow_compute';
    const task = await client.tool(tool, { seconds: 1, label: 'x' });
    equal(task.resultType, 'task', 'kind of the result');
    const watch = await client.listen({ taskIds: [task.taskId, 'nobody-has-this'] }, (m) => heard.push(m));
    if (!direct) equal(watch.granted.notifications.taskIds.join(), task.taskId, 'granted tasks');
    await until('the end is told', () => heard.some((m) => m.method === 'notifications/tasks' && m.params.status === 'completed') || JSON.stringify(heard), 3000, 20);
    equal(heard.at(-1).params.taskId, task.taskId, 'id as the client knows it');
    watch.stop(); await client.close();
  });
  if (direct) return;
  for (const era of ['modern', 'legacy']) await test(`${era} client -> all servers: a change of one server is announced`, async () => {
    const client = await open(undefined, era), { heard, stop } = await hear(client, era, { toolsListChanged: true });
    const inner = await open('stdio-legacy', 'modern');
    await inner.tool('test_trigger_tool_change'); await inner.close();
    await arrives(heard, 'notifications/tools/list_changed');
    stop(); await client.close();
  });
}
