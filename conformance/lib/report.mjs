// How a script tells `cargo xtask test` what happened: one line per test, opening with passed, failed or skipped.

/** Thrown by a test that cannot run here. */
export class Skip extends Error {}

/** A test that takes longer than this hangs. */
const TEST_LIMIT_MS = 60_000;

export const say = (line) => process.stdout.write(`${line}\n`);
export const passed = (name) => say(`passed ${name}`);
export const skipped = (name, why) => say(`skipped ${name}: ${one(why)}`);

let failures = 0;
export function failed(name, why) {
  failures += 1;
  say(`failed ${name}: ${one(why)}`);
}

// a promise that nobody waits for any more may fail late; that must not end the other tests
process.on('unhandledRejection', (error) => failed('a promise nobody waited for', error?.stack ?? error));

/** Runs one test, unless CELLA_TEST_ONLY asks for others. Returns whether it passed. */
export async function test(name, body, limit = TEST_LIMIT_MS) {
  const only = process.env.CELLA_TEST_ONLY;
  return only && !name.includes(only) ? true : step(name, body, limit);
}

/** Runs and reports what other tests rest on, whatever was asked for. */
export async function step(name, body, limit = TEST_LIMIT_MS) {
  let timer;
  const late = new Promise((_, no) => { timer = setTimeout(() => no(new Error(`no end after ${limit / 1000} s`)), limit); });
  try {
    await Promise.race([body(), late]);
    passed(name);
    return true;
  } catch (error) {
    if (error instanceof Skip) skipped(name, error.message);
    else failed(name, process.env.CELLA_TEST_TRACE ? error.stack : error.message);
    return false;
  } finally {
    clearTimeout(timer);
  }
}

/** Ends the script: the exit status says whether anything failed. */
export function finish() {
  process.exit(failures ? 1 : 0);
}

/** Fails unless the two are equal as JSON. */
export function equal(got, want, what = 'value') {
  const [a, b] = [JSON.stringify(got), JSON.stringify(want)];
  if (a !== b) throw new Error(`${what}: got ${short(a)}, expected ${short(b)}`);
}

/** Fails unless the condition holds. */
export function ensure(condition, what) {
  if (!condition) throw new Error(what);
}

/** Fails unless the text contains the part. */
export function contains(text, part, what = 'text') {
  if (!String(text).includes(part)) throw new Error(`${what}: ${short(String(text))} does not contain ${JSON.stringify(part)}`);
}

const one = (text) => String(text).replace(/\s*\n\s*/g, ' | ').slice(0, 2000);
const short = (text) => (text?.length > 400 ? `${text.slice(0, 400)}… (${text.length})` : text);
