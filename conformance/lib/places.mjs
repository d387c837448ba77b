// Where things are: the program under test, what `cargo xtask test` installed, and scratch directories.
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

export const here = resolve(dirname(fileURLToPath(import.meta.url)), '..');
export const root = dirname(here);
export const program = process.env.CELLA_BIN ?? join(process.env.CARGO_TARGET_DIR ?? join(root, 'target'), 'release', 'cella');
export const cache = process.env.CELLA_TEST_CACHE ?? join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'cella-test');
export const node = process.execPath;
export const refserver = join(here, 'refserver.mjs');

/** A file inside something installed, or undefined when it is not there. */
export const installed = (...path) => { const full = join(cache, ...path); return existsSync(full) ? full : undefined; };

const scratches = new Set();
/** A directory that goes away with the script. */
export function scratch(name) { const dir = mkdtempSync(join(tmpdir(), `cella-test-${name}-`)); scratches.add(dir); return dir; }
process.on('exit', () => { if (!process.env.CELLA_TEST_KEEP) for (const dir of scratches) rmSync(dir, { recursive: true, force: true }); });
