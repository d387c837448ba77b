// What the fault tests share: misbehaving servers, a node around them, and the question whether anything was left.
import { join } from 'node:path';
import { Node } from '../lib/cella.mjs';
import { connect, textOf } from '../lib/mcp.mjs';
import { here, node, scratch } from '../lib/places.mjs';
import { descriptors, naming } from '../lib/processes.mjs';
import { ensure } from '../lib/report.mjs';
import { until } from '../lib/wait.mjs';

/** A dead node's cells are gone after this. */
export const REAP_LIMIT_MS = 2000;
/** Sockets and files of finished work are closed after this. */
const SETTLE_LIMIT_MS = 10_000;
/** Descriptors that may come and go on their own: timers, a log, a database's side files. */
const SLACK_DESCRIPTORS = 6;

export const CODE = /CE\d{4}/;
export const server = (mode, ...args) => ({ command: node, args: [join(here, 'faults', 'server.mjs'), mode, ...args], contract: args.length ? { write: [args[0].replace(/\/[^/]+$/, '')] } : {} });
/** Everything that an error tells. */
export const words = (error) => `${error.message} ${JSON.stringify(error.data ?? '')}`;
/** A tool's text, or an Error: a failed call is a result that says so, for the model reads results. */
export const heard = (result) => (result.isError ? Object.assign(new Error(textOf(result)), { data: result._meta }) : textOf(result));
export const answer = (promise) => promise.then(heard, (error) => error);

/** A node whose processes can be recognised by a mark in their command lines. */
export async function stage(servers, options = {}) {
  const mark = scratch('mark'), cella = await new Node({ servers: servers(mark), ...options }).start();
  const open = (name, era = 'modern', more = {}) => connect(cella.url(name), { era, token: cella.token, ...more });
  return { mark, cella, open };
}

/** Remembers what a node holds; the returned function fails unless it holds no more again. */
export function settled(cella) {
  const before = descriptors(cella.pid).length;
  return () => until('the node closes what it opened', () => { const now = descriptors(cella.pid).length; return now <= before + SLACK_DESCRIPTORS || `${now} descriptors, ${before} before`; }, SETTLE_LIMIT_MS);
}

/** Fails unless no process that names the mark is left. */
export const gone = (mark) => until('every process ends', () => { const left = naming(mark); return left.length === 0 || `${left.length} left, such as ${left[0].name}`; }, REAP_LIMIT_MS);

/** Ends a node in the orderly way and looks for leftovers. */
export async function end({ cella, mark }) {
  const { code } = await cella.stop();
  ensure(code === 0, `the node ended with ${code}: ${cella.log.slice(-500)}`);
  await gone(mark);
}
