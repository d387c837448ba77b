// The official suite as a program: how it is run, and how two runs are compared.
//
// A count proves little: some scenarios pass on any answer. So each run through Cella is compared check by check with
// the same run against the reference server itself, and a check that is not asked any more is a failure too.
import { spawn } from 'node:child_process';
import { mkdirSync, readFileSync, readdirSync, rmSync, existsSync } from 'node:fs';
import { join } from 'node:path';
import { here, installed, node } from '../lib/places.mjs';
import { failed, passed, say, skipped } from '../lib/report.mjs';

export const LEGACY = '2025-11-25', MODERN = '2026-07-28', OLDER = '2025-06-18';
/** The longest run has about fifty scenarios of seconds each. */
const RUN_LIMIT_MS = 5 * 60_000;
const RANK = { SKIPPED: 0, INFO: 1, SUCCESS: 2, WARNING: 3, FAILURE: 4 };
const results = join(here, 'results');
export const suite = installed('suite/node_modules/@modelcontextprotocol/conformance/dist/index.js');

/** What a revision requires, frozen at its release where the suite froze it. */
const required = (revision) => (revision === OLDER ? ['--suite', 'all', '--spec-version', revision] : ['--requirements', revision]);

/** Tests a server at one revision: scenario -> check -> {status, error}. */
export async function server(url, revision, name, token) {
  const preload = token ? ['--import', join(here, 'with-token.mjs')] : [];
  return run('server', name, [...preload, suite, 'server', '--url', url, ...required(revision)], { CELLA_TEST_TOKEN: token ?? '' });
}

/** Tests a client, which is a command that gets the URL of a server as its last argument. */
export async function client(command, scenario, revision, name) {
  return run('client', name, [suite, 'client', '--command', command, '--scenario', scenario, '--spec-version', revision], {});
}

async function run(role, name, args, env) {
  const out = join(results, name);
  rmSync(out, { recursive: true, force: true }); mkdirSync(out, { recursive: true });
  await new Promise((ok, no) => {
    const child = spawn(node, [...args, '-o', out], { env: { ...process.env, ...env }, stdio: 'ignore' });
    const timer = setTimeout(() => { child.kill('SIGKILL'); no(new Error(`the suite did not end within ${RUN_LIMIT_MS / 1000} s`)); }, RUN_LIMIT_MS);
    child.on('exit', () => { clearTimeout(timer); ok(); }); child.on('error', no);
  });
  return read(out, role);
}

/** The worst status of a check counts. */
function read(out, role) {
  const found = {};
  for (const dir of readdirSync(out).sort()) {
    const scenario = new RegExp(`^(?:${role}-)?(.*)-20\\d\\d-\\d\\d-\\d\\dT`).exec(dir)?.[1], file = join(out, dir, 'checks.json');
    if (!scenario || !existsSync(file)) continue;
    const checks = {};
    for (const { id, status, errorMessage } of JSON.parse(readFileSync(file, 'utf8'))) {
      if (!checks[id] || RANK[status] > RANK[checks[id].status]) checks[id] = { status, error: errorMessage ?? '' };
    }
    found[scenario] = checks;
  }
  return found;
}

/** What held directly and does not hold through Cella, per scenario: check -> why. */
function regressions(direct, via) {
  const lost = {};
  for (const [scenario, checks] of Object.entries(direct)) {
    const bad = {};
    for (const [id, { status }] of Object.entries(checks)) {
      const now = via[scenario]?.[id];
      const failedNow = now?.status === 'FAILURE' && status !== 'FAILURE';
      const silent = status === 'SUCCESS' && (!now || now.status === 'SKIPPED');
      if (failedNow || silent) bad[id] = now?.error || `${status} directly, ${now?.status ?? 'not asked'} through Cella`;
    }
    for (const [id, { status, error }] of Object.entries(via[scenario] ?? {})) if (!checks[id] && status === 'FAILURE') bad[id] = error;
    lost[scenario] = bad;
  }
  return lost;
}

/** Entries `- scenario` or `- scenario:check`, each with its reason behind `#`: of the pair, and of the pair over this transport. */
function expectations(pair, transport) {
  const map = new Map();
  for (const name of [pair, `${pair}.${transport}`]) {
    const file = join(here, 'expected', `${name}.yaml`);
    if (!existsSync(file)) continue;
    for (const line of readFileSync(file, 'utf8').split('\n')) {
      const entry = /^\s+- (\S+)\s*(?:# (.+))?$/.exec(line);
      if (entry && !entry[2]) failed(`expected/${name}.yaml`, `${entry[1]} has no reason`);
      if (entry) map.set(entry[1], entry[2]);
    }
  }
  return map;
}

/** Reports a run through Cella beside the direct one. */
export function judge(title, pair, direct, via, transport) {
  const expected = expectations(pair, transport), used = new Set(); let good = 0, checks = 0, held = 0;
  for (const [scenario, bad] of Object.entries(regressions(direct, via))) {
    const name = `${title}: ${scenario}`, unexpected = [], reasons = [];
    checks += Object.keys(direct[scenario]).length; held += Object.keys(direct[scenario]).length - Object.keys(bad).length;
    for (const [id, why] of Object.entries(bad)) {
      const entry = [scenario, `${scenario}:${id}`].find((e) => expected.has(e));
      if (entry) { used.add(entry); reasons.push(expected.get(entry)); } else unexpected.push(`${id}: ${why}`);
    }
    if (unexpected.length) failed(name, unexpected.join(' | '));
    else if (reasons.length) skipped(name, [...new Set(reasons)].join('; '));
    else { passed(name); good += 1; }
  }
  // An entry may concern a scenario that this revision does not have.
  for (const entry of expected.keys()) if (!used.has(entry) && direct[entry.split(':')[0]]) failed(`${title}: ${entry}`, `listed in expected/${pair}.yaml, but it passes: remove the entry`);
  say(`   ${title}: ${good} of ${Object.keys(direct).length} scenarios, ${held} of ${checks} checks as directly`);
}
