// The merged endpoint: every server's tools under names that every client accepts, in one order, each reaching its server.
import { textOf } from '../lib/mcp.mjs';
import { contains, ensure, equal, test } from '../lib/report.mjs';

/** What clients accept once they have put `mcp__server__` in front. */
const PORTABLE = /^[A-Za-z0-9_-]{1,64}$/;

export async function lists({ open, upstreams, http, paged }) {
  const names = [...Object.keys(upstreams), 'paged'];
  for (const era of ['modern', 'legacy']) {
    await test(`${era} client: the merged list is complete, unique and portable`, async () => {
      const client = await open(undefined, era), tools = await client.list('tools'); await client.close();
      equal(new Set(tools.map((t) => t.name)).size, tools.length, 'different names');
      for (const tool of tools) ensure(PORTABLE.test(tool.name), `${tool.name} is not portable`);
      for (const name of names) {
        const one = await open(name, era), own = await one.list('tools'); await one.close();
        const merged = tools.filter((t) => own.some((o) => t.name.startsWith(name) && t.description === o.description));
        equal(merged.length, own.length, `tools of ${name} in the merged list`);
      }
    });

    await test(`${era} client: the merged list has the same order each time`, async () => {
      const orders = [];
      for (let n = 0; n < 3; n += 1) { const client = await open(undefined, era); orders.push((await client.list('tools')).map((t) => t.name).join()); await client.close(); }
      equal(new Set(orders).size, 1, 'different orders');
    });

    await test(`${era} client: a merged name reaches its own server`, async () => {
      const client = await open(undefined, era), tools = await client.list('tools');
      for (const [name, { http: server }] of Object.entries(upstreams).filter(([, u]) => u.http)) {
        const tool = tools.find((t) => t.name.startsWith(name) && t.name.endsWith('greet'));
        ensure(tool, `no greet of ${name}`);
        await Promise.all(Object.values(http).map((s) => fetch(`${s.base}/__reset`, { method: 'POST' })));
        contains(textOf(await client.tool(tool.name, { name })), `Hello, ${name}!`, 'answer');
        for (const s of Object.values(http)) {
          const calls = (await (await fetch(`${s.base}/__log`)).json()).filter((entry) => entry.raw.includes('"tools/call"'));
          equal(calls.length, s === server ? 1 : 0, `calls at port ${s.port}`);
        }
      }
      await client.close();
    });

    await test(`${era} client: prompts, resources and templates are merged and reachable`, async () => {
      const client = await open(undefined, era);
      const [prompts, resources, templates] = [await client.list('prompts'), await client.list('resources'), await client.list('resourceTemplates')];
      const prompt = prompts.find((p) => p.name.startsWith('paged') && p.name.endsWith('test_simple_prompt'));
      ensure(prompt, `no prompt of paged in ${prompts.length}`);
      contains(JSON.stringify(await client.result('prompts/get', { name: prompt.name })), 'This is a simple prompt', 'prompt');
      equal(new Set(resources.map((r) => r.uri)).size, resources.length, 'different resource URIs');
      const resource = resources.find((r) => r.uri.includes('static-text'));
      ensure(resource, `no static-text in ${resources.map((r) => r.uri)}`);
      contains(JSON.stringify(await client.result('resources/read', { uri: resource.uri })), 'static text resource', 'resource');
      ensure(templates.length > 0, 'no resource templates');
      const completed = await client.result('completion/complete', { ref: { type: 'ref/prompt', name: prompt.name }, argument: { name: 'arg1', value: 'par' } });
      contains(JSON.stringify(completed), 'paris', 'completion');
      await client.close();
    });

    await test(`${era} client: a paged list arrives whole`, async () => {
      const [client, plain] = [await open('paged', era), await open('http-dual', era)];
      const [got, want] = [await client.list('tools'), await plain.list('tools')];
      await Promise.all([client.close(), plain.close()]);
      equal(got.map((t) => t.name), want.map((t) => t.name).filter((n) => !n.startsWith('fx_')), 'names');
    });
  }
  ensure(paged, 'stage');
}
lists.needsNode = true;
