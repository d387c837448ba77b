// Cella as a client: the suite plays the server, and an agent's calls through a node make Cella talk to it.
//
// Absent here: auth/*, which asks for an OAuth client, and elicitation-sep1034-client-defaults, which asks for the
// form of a host's user interface; a gateway passes the question on.
import { join } from 'node:path';
import { here, node } from '../lib/places.mjs';
import { failed, passed, say } from '../lib/report.mjs';
import { LEGACY, MODERN, client } from './suite.mjs';

const SCENARIOS = {
  [LEGACY]: ['initialize', 'tools_call', 'sse-retry', 'json-schema-2020-12-preservation'],
  [MODERN]: ['tools_call', 'request-metadata', 'sep-2322-client-request-state', 'http-standard-headers', 'http-custom-headers', 'http-invalid-tool-headers', 'json-schema-ref-no-deref', 'json-schema-2020-12-preservation'],
};

export async function asClient() {
  const command = [node, join(here, 'official', 'through_cella.mjs')].join(' ');
  let good = 0, all = 0;
  for (const [revision, scenarios] of Object.entries(SCENARIOS)) {
    for (const scenario of scenarios) {
      const title = `Cella as a client of ${revision}: ${scenario}`;
      if (process.env.CELLA_TEST_ONLY && !title.includes(process.env.CELLA_TEST_ONLY)) continue;
      all += 1;
      try {
        const checks = Object.entries((await client(command, scenario, revision, `client-${scenario}-${revision}`))[scenario] ?? {});
        const bad = checks.filter(([, c]) => c.status === 'FAILURE').map(([id, c]) => `${id}: ${c.error}`);
        if (bad.length) failed(title, bad.join(' | ')); else if (!checks.some(([, c]) => c.status === 'SUCCESS')) failed(title, 'nothing was checked'); else { passed(title); good += 1; }
      } catch (error) { failed(title, error.message); }
    }
  }
  say(`   Cella as a client: ${good} of ${all} scenarios`);
}
