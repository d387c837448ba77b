// The official conformance suite: Cella as a server in all pairs of eras, and Cella as a client of the suite's servers.
import { asClient } from './official/as_client.mjs';
import { asServer } from './official/as_server.mjs';
import { suite } from './official/suite.mjs';
import { Skip, failed, finish, skipped } from './lib/report.mjs';

for (const part of [asServer, asClient]) {
  try {
    if (!suite) throw new Skip('it is not installed; see the lines above');
    await part();
  } catch (error) { if (error instanceof Skip) skipped('official suite', error.message); else failed('official suite', error.stack); }
}
finish();
