// The verbs that scripts depend on, against a running node.
import { contains, ensure, equal, test } from '../lib/report.mjs';

export async function commands({ cella, upstreams }) {
  await test('cella call prints the answer of a tool', () => {
    const run = cella.cli('call', 'stdio-dual', 'greet', '{"name":"Grace"}');
    equal(run.status, 0, `exit status (${run.err})`); contains(run.out, 'Hello, Grace!', 'output');
  });
  await test('cella call fails when the tool reports an error', () => {
    const run = cella.cli('call', 'stdio-dual', 'test_error_handling', '{}');
    ensure(run.status !== 0, 'exit status 0'); contains(run.out + run.err, 'intentionally returns an error', 'output');
  });
  await test('cella call says what to do about a wrong name', () => {
    for (const args of [['no-such-server', 'greet', '{}'], ['stdio-dual', 'no-such-tool', '{}'], ['stdio-dual', 'greet', 'not json']]) {
      const run = cella.cli('call', ...args);
      ensure(run.status !== 0, `${args}: exit status 0`); ensure(/CE\d{4}/.test(run.err), `${args}: no code in ${run.err}`);
    }
  });
  await test('cella status --json names every server with its state', () => {
    const run = cella.cli('status', '--json'), text = run.out;
    ensure([0, 3].includes(run.status), `exit status ${run.status}: ${run.err}`);
    JSON.parse(text);
    for (const name of Object.keys(upstreams)) contains(text, `"${name}"`, 'status');
  });
  await test('cella log verify confirms the ledger after all these calls', () => {
    const run = cella.cli('log', 'verify');
    equal(run.status, 0, `exit status (${run.out} ${run.err})`);
  });
}
commands.needsNode = true;
