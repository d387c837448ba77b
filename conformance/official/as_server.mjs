// Cella as a server: agents of every revision in front, servers of every era and transport behind.
import { Node, reference, referenceStdio } from '../lib/cella.mjs';
import { failed, say, step } from '../lib/report.mjs';
import { LEGACY, MODERN, OLDER, judge, server } from './suite.mjs';

const ERA = { [LEGACY]: 'legacy', [OLDER]: 'legacy', [MODERN]: 'modern' };

/** Every upstream: name, era it speaks, how it is reached. */
async function upstreams() {
  const [dual, legacy, modern] = await Promise.all([reference(), reference(['--era', 'legacy']), reference(['--era', 'modern'])]);
  const servers = {
    'http-dual': { url: dual.url }, 'http-legacy': { url: legacy.url }, 'http-modern': { url: modern.url }, 'sse-legacy': { url: legacy.sse, transport: 'sse' },
    'stdio-dual': referenceStdio(), 'stdio-legacy': referenceStdio(['--era', 'legacy']), 'stdio-modern': referenceStdio(['--era', 'modern']),
  };
  return { servers, direct: dual.url, stop: () => Promise.all([dual.stop(), legacy.stop(), modern.stop()]) };
}

/** [revision of the client, server, pair whose expectations hold] */
const RUNS = [
  ...['http-dual', 'stdio-dual'].flatMap((s) => [[LEGACY, s, 'same'], [MODERN, s, 'same']]),
  [OLDER, 'http-dual', 'same'],
  ...['http-legacy', 'stdio-legacy', 'sse-legacy'].flatMap((s) => [[LEGACY, s, 'legacy-to-legacy'], [MODERN, s, 'modern-to-legacy']]),
  ...['http-modern', 'stdio-modern'].flatMap((s) => [[MODERN, s, 'modern-to-modern'], [LEGACY, s, 'legacy-to-modern'], [OLDER, s, 'legacy-to-modern']]),
];

export async function asServer() {
  const up = await upstreams(), baseline = {};
  for (const revision of [OLDER, LEGACY, MODERN]) {
    baseline[revision] = await server(up.direct, revision, `direct-${revision}`);
    const checks = Object.values(baseline[revision]).flatMap((c) => Object.values(c));
    const bad = checks.filter((c) => c.status === 'FAILURE').length;
    say(`   direct, client ${revision}: ${Object.keys(baseline[revision]).length} scenarios, ${checks.length} checks, ${bad} failing`);
    if (!Object.keys(baseline[revision]).length) failed(`direct ${revision}`, 'the suite reported nothing');
  }
  const cella = new Node({ servers: up.servers });
  if (await step('the node starts with seven reference servers', () => cella.start())) {
    for (const [revision, upstream, pair] of RUNS) {
      const title = `client ${revision} (${ERA[revision]}) -> ${upstream}`;
      if (process.env.CELLA_TEST_ONLY && !title.includes(process.env.CELLA_TEST_ONLY)) continue;
      try { judge(title, pair, baseline[revision], await server(cella.url(upstream), revision, `${upstream}-${revision}`, cella.token), upstream.split('-')[0]); } catch (error) { failed(title, error.message); }
    }
    await step('the node stops when asked', () => cella.stop());
  }
  await up.stop();
}
