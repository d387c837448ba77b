// Assertions of our own: what the official suite does not ask. One node, ten servers, clients of both eras.
//
// `--direct` runs what makes sense without a gateway against the reference servers themselves: a test that fails
// there is wrong.
import { Node, reference, referenceStdio } from './lib/cella.mjs';
import { connect } from './lib/mcp.mjs';
import { Skip, failed, finish, skipped, step, test } from './lib/report.mjs';
import { cancellation } from './own/cancellation.mjs';
import { changes } from './own/changes.mjs';
import { commands } from './own/commands.mjs';
import { doors } from './own/doors.mjs';
import { fidelity } from './own/fidelity.mjs';
import { lists } from './own/lists.mjs';
import { restarts } from './own/restarts.mjs';
import { sharing } from './own/sharing.mjs';
import { states } from './own/states.mjs';

export const ERAS = ['modern', 'legacy'];
const direct = process.argv.includes('--direct');

/** What every group of tests gets. `upstreams`: name -> {era, http} of the servers that carry the fidelity tools. */
async function stage() {
  const http = {};
  for (const era of ['dual', 'legacy', 'modern']) http[era] = await reference(['--era', era, '--fx']);
  const paged = await reference(['--page', '7', '--name', 'paged']);
  const upstreams = Object.fromEntries(Object.keys(http).flatMap((era) => [[`http-${era}`, { era, http: http[era] }], ...(direct ? [] : [[`stdio-${era}`, { era }]])]));
  const servers = { paged: { url: paged.url } };
  for (const [name, { era, http: server }] of Object.entries(upstreams)) servers[name] = server ? { url: server.url } : referenceStdio(['--era', era, '--fx']);
  const cella = direct ? { url: (name) => servers[name]?.url, stop() {} } : new Node({ servers });
  const open = (name, era, options = {}) => connect(cella.url(name), { era, token: direct ? undefined : cella.token, ...options });
  /** The pairs of client era and upstream that can talk: directly only those of one era. */
  const pairs = ERAS.flatMap((era) => Object.entries(upstreams).filter(([, u]) => !direct || u.era === 'dual' || u.era === era).map(([name, u]) => ({ ...u, era, name })));
  const stop = async () => { await cella.stop(); await Promise.all([...Object.values(http), paged].map((s) => s.stop())); };
  return { cella, direct, open, pairs, upstreams, http, paged, stop };
}

const GROUPS = { fidelity, cancellation, sharing, states, changes, lists, doors, commands, restarts };

try {
  const on = await stage();
  if (direct || await step('the node starts', () => on.cella.start())) {
    for (const [name, group] of Object.entries(GROUPS)) {
      if (process.env.CELLA_TEST_GROUP && process.env.CELLA_TEST_GROUP !== name) continue;
      if (direct && group.needsNode) continue;
      try { await group(on); } catch (error) { if (error instanceof Skip) skipped(name, error.message); else failed(name, error.stack); }
    }
    if (!direct) await step('the node stops when asked', () => on.stop()); else await on.stop();
  }
} catch (error) { failed('own', error.stack); }
finish();
