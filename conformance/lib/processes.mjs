// What a running node costs and leaves behind, read from /proc.
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';

/** Clock ticks per second of /proc/PID/stat; Linux has used 100 everywhere for user space. */
const TICKS_PER_SECOND = 100;

const attempt = (f, otherwise) => { try { return f(); } catch { return otherwise; } };

/** One process: identity survives the reuse of its number. */
function stat(pid) {
  const text = attempt(() => readFileSync(`/proc/${pid}/stat`, 'utf8'));
  if (!text) return undefined;
  const rest = text.slice(text.lastIndexOf(')') + 2).split(' ');
  return { pid: +pid, state: rest[0], parent: +rest[1], ticks: +rest[11] + +rest[12], started: rest[19], name: text.slice(text.indexOf('(') + 1, text.lastIndexOf(')')) };
}

export const all = () => readdirSync('/proc').filter((n) => /^\d+$/.test(n)).map(stat).filter(Boolean);

/** A process and everything below it. */
export function tree(root) {
  const everyone = all();
  const found = everyone.filter((p) => p.pid === root);
  for (let at = 0; at < found.length; at += 1) found.push(...everyone.filter((p) => p.parent === found[at].pid && p.pid !== root));
  return found;
}

export const same = (process) => stat(process.pid)?.started === process.started;
/** Those of the processes that still run; a zombie holds nothing. */
export const alive = (processes) => processes.filter((p) => { const now = stat(p.pid); return now && now.started === p.started && now.state !== 'Z'; });
export const commandOf = (pid) => attempt(() => readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0').join(' ').trim(), '');

/** Processes whose command line names the text, this one and its ancestors left out. */
export function naming(text) {
  const own = new Set();
  for (let pid = process.pid; pid > 1; pid = stat(pid)?.parent ?? 0) own.add(pid);
  return all().filter((p) => !own.has(p.pid) && p.state !== 'Z' && commandOf(p.pid).includes(text));
}

/** CPU time of a tree in milliseconds. */
export const cpuMs = (root) => tree(root).reduce((sum, p) => sum + p.ticks, 0) * (1000 / TICKS_PER_SECOND);

/** Resident memory in MiB. */
export function residentMiB(pid) {
  const line = attempt(() => readFileSync(`/proc/${pid}/status`, 'utf8'), '').match(/VmRSS:\s+(\d+) kB/);
  return line ? +line[1] / 1024 : 0;
}

/** What the descriptors of a process point to, for example `socket:[1]` or a path. */
export const descriptors = (pid) => attempt(() => readdirSync(`/proc/${pid}/fd`), []).map((fd) => attempt(() => readlinkSync(`/proc/${pid}/fd/${fd}`), '')).filter(Boolean);
