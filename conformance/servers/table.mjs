// Third-party servers: how each is started, one call, and what its answer must contain. `work` is a directory of the
// server's own, the only one it may write to. `prepare` fills it. All of it works without network.
import { spawnSync } from 'node:child_process';
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { installed, node } from '../lib/places.mjs';

const npm = (group, script) => { const path = installed(group, 'node_modules', script); return path && { command: node, args: [path] }; };
const pypi = (group, program) => { const path = installed(group, 'bin', program); return path && { command: path, args: [] }; };
/** The browser itself where there is one: Debian's `/usr/bin/chromium` is a script that looks into /proc/cpuinfo, and a
 *  cell's /proc holds processes only. */
const chromium = ['/usr/lib/chromium/chromium', '/usr/bin/chromium'].find((path) => existsSync(path)) ?? '/usr/bin/chromium';
const reference = (name) => npm('reference-servers', `@modelcontextprotocol/server-${name}/dist/index.js`);

function repository(work) {
  const git = (...args) => spawnSync('git', ['-c', 'user.name=t', '-c', 'user.email=t@example.invalid', ...args], { cwd: work });
  git('init', '--quiet', '--initial-branch=main'); writeFileSync(join(work, 'a.txt'), 'one\n'); git('add', '.'); git('commit', '--quiet', '-m', 'first commit');
}

export const SERVERS = [
  { name: 'time', start: pypi('python-servers', 'mcp-server-time'), args: () => ['--local-timezone', 'UTC'], call: ['convert_time', { source_timezone: 'UTC', time: '12:00', target_timezone: 'Asia/Tokyo' }], expect: '21:00' },
  { name: 'git', start: pypi('python-servers', 'mcp-server-git'), args: (work) => ['--repository', work], prepare: repository, call: (work) => ['git_log', { repo_path: work }], expect: 'first commit' },
  // the page's host has no address here, and a cell has no network: the server says so in its answer
  { name: 'fetch', start: pypi('python-servers', 'mcp-server-fetch'), args: () => ['--ignore-robots-txt'], call: ['fetch', { url: 'http://page.invalid/', raw: true }], expect: 'ailed to fetch' },
  { name: 'excel', start: pypi('python-servers', 'excel-mcp-server'), args: () => ['stdio'], call: (work) => ['create_workbook', { path: join(work, 'book.xlsx'), overwrite: true }], expect: 'book.xlsx' },
  { name: 'sqlite', start: pypi('python-servers-old', 'mcp-server-sqlite'), args: (work) => ['--db-path', join(work, 'data.db')], call: ['read_query', { query: 'SELECT 6 * 7 AS answer' }], expect: '42' },
  { name: 'calculator', start: pypi('python-servers-old', 'mcp-server-calculator'), call: ['calculate', { expression: '6 * 7' }], expect: '42' },
  { name: 'filesystem', start: reference('filesystem'), args: (work) => [work], prepare: (work) => writeFileSync(join(work, 'hello.txt'), 'hello from a file'), call: (work) => ['read_text_file', { path: join(work, 'hello.txt') }], expect: 'hello from a file' },
  { name: 'memory', start: reference('memory'), env: (work) => ({ MEMORY_FILE_PATH: join(work, 'memory.json') }), prepare: (work) => writeFileSync(join(work, 'memory.json'), `${JSON.stringify({ type: 'entity', name: 'Ada', entityType: 'person', observations: ['wrote a program'] })}\n`), call: ['search_nodes', { query: 'Ada' }], expect: 'wrote a program' },
  { name: 'sequential-thinking', start: reference('sequential-thinking'), call: ['sequentialthinking', { thought: 'begin', nextThoughtNeeded: false, thoughtNumber: 1, totalThoughts: 1 }], expect: 'thoughtHistoryLength' },
  { name: 'everything', start: reference('everything'), args: () => ['stdio'], call: ['echo', { message: 'marker-17' }], expect: 'marker-17' },
  { name: 'everything-http', serve: reference('everything'), listen: 'streamableHttp', path: '/mcp', call: ['echo', { message: 'marker-18' }], expect: 'marker-18' },
  { name: 'everything-sse', serve: reference('everything'), listen: 'sse', path: '/sse', transport: 'sse', call: ['echo', { message: 'marker-19' }], expect: 'marker-19' },
  { name: 'eslint', start: npm('eslint', '@eslint/mcp/src/mcp-cli.js'), inWork: true, prepare: (work) => { writeFileSync(join(work, 'eslint.config.mjs'), 'export default [{ rules: { "no-debugger": "error" } }];\n'); writeFileSync(join(work, 'bad.js'), 'debugger;\n'); }, call: (work) => ['lint-files', { filePaths: [join(work, 'bad.js')] }], expect: 'no-debugger' },
  { name: 'chrome-devtools', start: npm('chrome-devtools', 'chrome-devtools-mcp/build/src/bin/chrome-devtools-mcp.js'), args: () => ['--headless', '--isolated', '--no-usage-statistics', '--no-performance-crux', '--executablePath', chromium, '--chrome-arg=--no-sandbox'], call: ['list_pages', {}], expect: 'about:blank', needs: chromium, slow: true },
  { name: 'commands', start: npm('commands', 'mcp-server-commands/build/index.js'), call: ['run_command', { command: 'echo marker-$((20 + 1))' }], expect: 'marker-21' },
  { name: 'playwright', start: npm('playwright', '@playwright/mcp/cli.js'), args: () => ['--headless', '--isolated', '--no-sandbox', '--executable-path', chromium], call: ['browser_navigate', { url: 'data:text/html,<title>marker-22</title>' }], expect: 'marker-22', needs: chromium, slow: true },
];
