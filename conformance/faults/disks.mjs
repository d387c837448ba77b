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
/** Payments of one run; each question repeats what was said before, so that a few dozen fill the disk. */
const PAYMENTS = 40;
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

  await test('a full disk under a run: it breaks off, and goes on when there is room, and nothing is paid twice', async () => {
    const dir = scratch('disk'), mark = scratch('mark'), file = join(mark, 'payments');
    const ids = Array.from({ length: PAYMENTS }, (_, n) => `pay-${n}-${'x'.repeat(2000)}`);
    smallDisk(join(dir, 'state'));
    mkdirSync(join(dir, 'agents'), { recursive: true });
    writeFileSync(join(dir, 'agents', 'payer.toml'), `[model]\nuse = "tape/any"\n\n[tools]\nservers = ["bank"]\napprove = "never"\n\n[limits]\nturns = ${PAYMENTS + 2}\n`);
    const line = (turn, stop) => JSON.stringify({ answer: { turn, stop, usage: { input: 0, output: 0 } } });
    const calls = ids.map((id, n) => line({ calls: [{ id: `c${n}`, name: 'bank__pay', arguments: JSON.stringify({ id }) }] }, 'tools'));
    writeFileSync(join(dir, 'tape.jsonl'), `${[...calls, line({ text: 'All is paid.' }, 'end')].join('\n')}\n`);
    const cella = new Node({ dir, servers: { bank: server('ledger', file) }, extra: '[providers.tape]\nwire = "cassette"\nfile = "tape.jsonl"\n' });
    try {
      await cella.start();
      const client = await connect(cella.url('bank'), { token: cella.token });
      contains(await answer(client.tool('pay', { id: 'first' })), 'paid first', 'payment');
      await client.close();
      const filler = join(dir, 'state', 'filler');
      writeFileSync(filler, Buffer.alloc((DISK_MIB - 2) * 2 ** 20));
      equal(cella.cli('run', 'payer', 'pay', '--detach').status, 0, 'the run begins');
      await until('the run breaks off', async () => cella.log.includes('broke off'), 60_000, 200);
      const broken = cella.log.split('\n').find((l) => l.includes('broke off'));
      ensure(CODE.test(broken), `it broke off without a code: ${broken}`);
      const paid = () => readFileSync(file, 'utf8').trim().split('\n').slice(1);
      ensure(paid().length > 0 && paid().length < PAYMENTS, `${paid().length} of ${PAYMENTS} payments were made on a full disk`);
      rmSync(filler);
      await until('the run ends', async () => {
        const shown = JSON.parse(cella.cli('show', 'last', '--json').out);
        if (shown.status === 'completed') return true;
        // whose outcome could not be put on record is in doubt, and whoever looks knows that it was made
        for (const call of shown.waiting ?? []) cella.cli('resolve', 'last', call.step, paid().includes(JSON.parse(call.arguments).id) ? '--happened' : '--did-not-happen');
        if (!shown.active && !shown.waiting?.length) cella.cli('resume', 'last', '--detach');
        return `it is ${shown.status}`;
      }, 90_000, 500);
      equal([...paid()].sort(), [...ids].sort(), 'payments, each once');
      equal(cella.cli('replay', 'last').status, 0, 'the replay');
      equal(cella.cli('log', 'verify').status, 0, 'log verify');
    } finally {
      if (cella.child) { await cella.stop(); await gone(mark); }
      spawnSync('umount', ['--lazy', join(dir, 'state')]);
    }
  }, 240_000);

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
