// Faults: sick neighbours, kill -9 of everybody, a full disk, readers that do not read, a thousand clients; and after
// each, no process, file or socket that was not there before.
import { spawnSync } from 'node:child_process';
import { crowds } from './faults/crowds.mjs';
import { disks } from './faults/disks.mjs';
import { kills } from './faults/kills.mjs';
import { neighbours } from './faults/neighbours.mjs';
import { failed, finish } from './lib/report.mjs';

const APART = 'CELLA_TEST_MOUNTS';

/** Runs this script again with mounts of its own, so that the small disk disappears with it. */
if (!process.env[APART] && process.getuid() === 0 && spawnSync('unshare', ['--mount', 'true']).status === 0) {
  const run = spawnSync('unshare', ['--mount', process.execPath, ...process.argv.slice(1)], { stdio: 'inherit', env: { ...process.env, [APART]: '1' } });
  process.exit(run.status ?? 1);
}

for (const [name, group] of Object.entries({ neighbours, kills, disks, crowds })) {
  if (process.env.CELLA_TEST_GROUP && process.env.CELLA_TEST_GROUP !== name) continue;
  try { await group(); } catch (error) { failed(name, error.stack); }
}
finish();
