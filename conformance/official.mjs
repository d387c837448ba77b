// The official conformance suite against a reference server, directly and through Cella, in all pairs of eras.
//
// A count proves little: some scenarios pass on any answer. So each run through Cella is compared check by check with
// the same run against the reference server itself, and a check that is not asked any more is a failure too.
import { spawn } from 'node:child_process';
import { mkdirSync, readFileSync, readdirSync, rmSync, existsSync } from 'node:fs';
import { join } from 'node:path';
import { Node, reference, referenceStdio } from './lib/cella.mjs';
import { here, installed, node } from './lib/places.mjs';
import { Skip, failed, finish, passed, say, skipped, test } from './lib/report.mjs';

const LEGACY = '2025-11-25', MODERN = '2026-07-28', OLDER = '2025-06-18';
const ERA = { [LEGACY]: 'legacy', [OLDER]: 'legacy', [MODERN]: 'modern' };
/** The longest run has about fifty scenarios of seconds each. */
const RUN_LIMIT_MS = 5 * 60_000;
const RANK = { SKIPPED: 0, INFO: 1, SUCCESS: 2, WARNING: 3, FAILURE: 4 };
const results = join(here, 'results');
const suite = installed('suite/node_modules/@modelcontextprotocol/conformance/dist/index.js');

/** Runs the suite at one revision. Returns scenario -> check -> {status, error}; the worst status of a check counts. */
async function run(url, revision, name, token) {
  const out = join(results, name);
  rmSync(out, { recursive: true, force: true }); mkdirSync(out, { recursive: true });
  const frozen = revision === OLDER ? ['--suite', 'all', '--spec-version', revision] : ['--requirements', revision];
  const preload = token ? ['--import', join(here, 'with-token.mjs')] : [];
  await new Promise((ok, no) => {
    const child = spawn(node, [...preload, suite, 'server', '--url', url, ...frozen, '-o', out], { env: { ...process.env, CELLA_TEST_TOKEN: token ?? '' }, stdio: 'ignore' });
    const timer = setTimeout(() => { child.kill('SIGKILL'); no(new Error(`the suite did not end within ${RUN_LIMIT_MS / 1000} s`)); }, RUN_LIMIT_MS);
    child.on('exit', () => { clearTimeout(timer); ok(); }); child.on('error', no);
  });
  return read(out);
}

function read(out) {
  const found = {};
  for (const dir of readdirSync(out).sort()) {
    const scenario = /^server-(.*)-20\d\d-\d\d-\d\dT/.exec(dir)?.[1], file = join(out, dir, 'checks.json');
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

/** Entries `- scenario` or `- scenario:check`, each with its reason behind `#`. */
function expectations(pair) {
  const file = join(here, 'expected', `${pair}.yaml`), map = new Map();
  if (!existsSync(file)) return map;
  for (const line of readFileSync(file, 'utf8').split('\n')) {
    const entry = /^\s+- (\S+)\s*(?:# (.+))?$/.exec(line);
    if (entry && !entry[2]) failed(`expected/${pair}.yaml`, `${entry[1]} has no reason`);
    if (entry) map.set(entry[1], entry[2]);
  }
  return map;
}

function judge(title, pair, direct, via) {
  const expected = expectations(pair), used = new Set(); let good = 0, checks = 0, held = 0;
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
  for (const entry of expected.keys()) if (!used.has(entry)) failed(`${title}: ${entry}`, `listed in expected/${pair}.yaml, but it passes: remove the entry`);
  say(`   ${title}: ${good} of ${Object.keys(direct).length} scenarios, ${held} of ${checks} checks as directly`);
}

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

async function main() {
  if (!suite) { skipped('official suite', 'it is not installed; see the lines above'); return; }
  const up = await upstreams(), baseline = {};
  for (const revision of [OLDER, LEGACY, MODERN]) {
    baseline[revision] = await run(up.direct, revision, `direct-${revision}`);
    const checks = Object.values(baseline[revision]).flatMap((c) => Object.values(c));
    const bad = checks.filter((c) => c.status === 'FAILURE').length;
    say(`   direct, client ${revision}: ${Object.keys(baseline[revision]).length} scenarios, ${checks.length} checks, ${bad} failing`);
    if (!Object.keys(baseline[revision]).length) failed(`direct ${revision}`, 'the suite reported nothing');
  }
  const cella = new Node({ servers: up.servers });
  if (await test('the node starts with seven reference servers', () => cella.start())) {
    for (const [revision, server, pair] of RUNS) {
      const title = `client ${revision} (${ERA[revision]}) -> ${server}`;
      if (process.env.CELLA_TEST_ONLY && !title.includes(process.env.CELLA_TEST_ONLY)) continue;
      try { judge(title, pair, baseline[revision], await run(cella.url(server), revision, `${server}-${revision}`, cella.token)); } catch (error) { failed(title, error.message); }
    }
    await test('the node stops when asked', () => cella.stop());
  }
  await up.stop();
}

await main().catch((error) => { if (error instanceof Skip) skipped('official suite', error.message); else failed('official suite', error.stack); });
finish();
