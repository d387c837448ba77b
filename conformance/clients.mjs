// Real clients against a running node: SDKs that list and call, and whole agents driven by a scripted model.
//
// Everything runs in a network namespace that has only loopback, so that no agent reaches anybody.
import { spawn, spawnSync } from 'node:child_process';
import { AGENTS } from './clients/agents.mjs';
import { model } from './clients/model.mjs';
import { SDKS } from './clients/sdks.mjs';
import { Node, reference, referenceStdio } from './lib/cella.mjs';
import { connect } from './lib/mcp.mjs';
import { contains, ensure, failed, finish, skipped, step, test } from './lib/report.mjs';

/** Starting an agent takes seconds on two busy cores. */
const CLIENT_LIMIT_MS = 90_000;
const APART = 'CELLA_TEST_APART';

/** Runs this script again where only loopback exists. False when this machine does not allow it. */
function apart() {
  const flags = process.getuid() === 0 ? ['--net'] : ['--net', '--map-root-user'];
  const inside = (script, ...args) => ['unshare', [...flags, 'sh', '-c', `ip link set lo up && ${script}`, 'sh', ...args]];
  if (spawnSync(...inside('true')).status !== 0) return false;
  const [command, args] = inside('exec "$@"', process.execPath, ...process.argv.slice(1));
  process.exit(spawnSync(command, args, { stdio: 'inherit', env: { ...process.env, [APART]: '1' } }).status ?? 1);
}

function run({ command, args, env, cwd }) {
  return new Promise((ok, no) => {
    const child = spawn(command, args, { env: env?.HOME ? env : { ...process.env, ...env }, cwd, stdio: ['ignore', 'pipe', 'pipe'] });
    let out = '', err = '';
    child.stdout.on('data', (d) => { out += d; }); child.stderr.on('data', (d) => { err += d; });
    const timer = setTimeout(() => child.kill('SIGKILL'), CLIENT_LIMIT_MS - 5000);
    child.on('error', no);
    child.on('exit', (code, signal) => { clearTimeout(timer); ok({ code: code ?? signal, out, err }); });
  });
}
const tail = (text) => text.trim().slice(-700);

async function sdk(client, { url, token, tool, name }) {
  const { code, out, err } = await run(client(url, token, tool, { name }));
  ensure(code === 0, `ended with ${code}: ${tail(err || out)}`);
  contains(out, `Hello, ${name}!`, 'answer');
  ensure(!out.startsWith('{"tools"') || out.includes(`"${tool}"`), 'the tool is not in its list');
}

async function agent(client, { url, token, tool, name }) {
  const script = await model({ tool: new RegExp(`${tool}$`), args: { name } });
  try {
    const { code, out, err } = await run(client(url, token, script.url));
    const offered = script.seen.flatMap((s) => s.body.tools ?? []).flatMap((t) => (t.tools ?? [t]).map((x) => x.name));
    ensure(offered.some((n) => n?.endsWith(tool)), `the agent did not offer ${tool} to its model, only ${[...new Set(offered)].join(' ') || 'nothing'}: ${tail(err)}`);
    ensure(code === 0, `ended with ${code}: ${tail(err || out)}`);
    contains(out, 'final: ', 'last words'); contains(out, `Hello, ${name}!`, 'answer');
  } finally { script.stop(); }
}

async function every(targets) {
  for (const [kind, clients] of [[sdk, SDKS], [agent, AGENTS]]) {
    for (const [title, client] of Object.entries(clients)) {
      if (!client) { skipped(title, 'it is not installed; see the lines above'); continue; }
      for (const [where, target] of Object.entries(targets)) {
        if (kind === agent && !process.env[APART]) { skipped(`${title} -> ${where}`, 'no network namespace here, and an agent must not reach anybody'); continue; }
        await test(`${title} -> ${where}`, () => kind(client, target), CLIENT_LIMIT_MS);
      }
    }
  }
}

if (!process.env[APART]) apart();
if (process.argv.includes('--direct')) {
  const server = await reference(['--token', 'abc']);
  await every({ 'the reference server': { url: server.url, token: 'abc', tool: 'greet', name: 'Ada' } });
  await server.stop();
} else {
  const cella = new Node({ servers: { ref: referenceStdio(), old: referenceStdio(['--era', 'legacy']), new: referenceStdio(['--era', 'modern']) } });
  if (await step('the node starts', () => cella.start())) {
    try {
      const { token } = cella, all = await connect(cella.url(), { token });
      const merged = (await all.list('tools')).map((t) => t.name).find((n) => n.startsWith('ref') && n.endsWith('greet')); await all.close();
      await every({
        'all servers': { url: cella.url(), token, tool: merged, name: 'Ada' },
        'a legacy server': { url: cella.url('old'), token, tool: 'greet', name: 'Alan' },
        'a modern server': { url: cella.url('new'), token, tool: 'greet', name: 'Grace' },
      });
    } catch (error) { failed('clients', error.stack); }
    await step('the node stops when asked', () => cella.stop());
  }
}
finish();
