// A full disk: nothing is done that cannot be recorded, the node says so, and goes on when there is room again. A lost
// one: the node does not pretend to be new.
import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, readdirSync, existsSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Node } from '../lib/cella.mjs';
import { connect } from '../lib/mcp.mjs';
import { scratch } from '../lib/places.mjs';
import { Skip, contains, ensure, equal, test } from '../lib/report.mjs';
import { until } from '../lib/wait.mjs';
import { CODE, answer, gone, server, words } from './stage.mjs';

const DISK_MIB = 12;
/** More than the disk holds, in payments of some kilobytes of record each. */
const ATTEMPTS_MAX = 4000;

/** A small disk; it goes away with this script's mount namespace. */
function smallDisk(path) {
  mkdirSync(path, { recursive: true });
  if (spawnSync('mount', ['-t', 'tmpfs', '-o', `size=${DISK_MIB}m`, 'tmpfs', path]).status !== 0) throw new Skip('a small disk cannot be mounted here');
}

export async function disks() {
  await test('a full disk: no payment without its record, and recovery when there is room', async () => {
    const dir = scratch('disk'), mark = scratch('mark'), file = join(mark, 'payments');
    smallDisk(join(dir, 'state'));
    const cella = new Node({ dir, servers: { bank: server('ledger', file) } });
    try {
      await cella.start();
      const client = await connect(cella.url('bank'), { token: cella.token });
      const pay = (id) => answer(client.tool('pay', { id }));
      contains(await pay('first'), 'paid first', 'payment');
      const filler = join(dir, 'state', 'filler');
      try { writeFileSync(filler, Buffer.alloc(DISK_MIB * 2 ** 20)); } catch { /* full, as it should be */ }
      let refusal, good = 1;
      for (let n = 0; n < ATTEMPTS_MAX && !refusal; n += 1) { const heard = await pay(`pay-${n}-${'x'.repeat(4000)}`); if (heard instanceof Error) refusal = heard; else good += 1; }
      ensure(refusal, `${good} payments on a full disk and no refusal`);
      ensure(CODE.test(words(refusal)), `the refusal has no code: ${words(refusal)}`);
      const made = readFileSync(file, 'utf8').trim().split('\n').length;
      ensure(made === good, `${made} payments were made, ${good} acknowledged: one was made without a record`);
      const again = await pay('still-full');
      ensure(again instanceof Error, 'a payment while the disk is full');
      rmSync(filler);
      await until('payments work again', async () => !((await pay('roomy')) instanceof Error), 15_000, 300);
      const verified = cella.cli('log', 'verify');
      equal(verified.status, 0, `log verify (${verified.out} ${verified.err})`);
      await client.close();
    } finally {
      if (cella.child) { await cella.stop(); await gone(mark); }
      spawnSync('umount', ['--lazy', join(dir, 'state')]);
    }
    ensure(existsSync(file), 'the payments');
  }, 120_000);

  await test('a lost ledger: the node does not start until a human accepts the loss, and says what is lost', async () => {
    const cella = new Node({}), ledger = () => join(cella.dir, 'state', 'cella', readdirSync(join(cella.dir, 'state', 'cella'))[0], 'ledger.db');
    const started = () => cella.start().then(() => undefined, (error) => error.message);
    await cella.start();
    // at once: the signal of a supervisor that changes its mind must not be missed
    equal((await cella.stop()).code, 0, 'exit status');
    for (const file of readdirSync(ledger())) if (file.startsWith('ledger.db')) rmSync(join(ledger(), file));
    const refused = await started();
    contains(refused, 'CE5006', 'the refusal'); contains(refused, '--accept-loss', 'the remedy');
    contains(await started(), 'CE5006', 'the second refusal');
    writeFileSync(join(ledger(), 'ledger.accept-loss'), '');
    try {
      await cella.start();
      await until('the loss is said', async () => cella.log.includes('are lost'));
      ensure(!existsSync(join(ledger(), 'ledger.accept-loss')), 'the consent is still there');
      contains(cella.cli('log', 'query', '--kind', 'ledger.recovered').out, 'accepted=true', 'the record');
      equal(cella.cli('log', 'verify').status, 0, 'log verify');
      const file = join(cella.dir, 'export.ndjson');
      equal(cella.cli('log', 'export', '--payloads', '--output', file).status, 0, 'log export');
      equal(cella.cli('log', 'verify', file).status, 0, 'log verify of the export');
      writeFileSync(file, readFileSync(file, 'utf8').split('\n').slice(0, 2).join('\n') + '\n');
      const cut = cella.cli('log', 'verify', file);
      equal(cut.status, 1, 'log verify of a cut export'); contains(cut.out, 'CE5033', 'what is wrong with it');
    } finally { await cella.stop(); }
  });
}
