// Clients that are called like a function: a program that lists, calls one tool and prints what came.
import { dirname, join } from 'node:path';
import { cache, here, installed, node } from '../lib/places.mjs';

const script = (name) => join(here, 'clients', name);
const python = (group, name, ...first) => {
  const program = installed(group, 'bin', 'python');
  return program && ((url, token, tool, args) => ({ command: program, args: [script(name), ...first, url, token, tool, JSON.stringify(args)] }));
};
const typescript = (generation) => installed('typescript-clients', 'node_modules') && ((url, token, tool, args) => ({ command: node, args: [script('typescript_sdk.mjs'), join(cache, 'typescript-clients'), generation, url, token, tool, JSON.stringify(args)] }));
const inspector = (era) => {
  const program = installed('inspector', 'node_modules', '.bin', 'mcp-inspector');
  return program && ((url, token, tool, args) => ({
    command: node, env: { PATH: `${dirname(node)}:${process.env.PATH}` },
    args: [program, '--cli', url, '--transport', 'http', '--header', `Authorization: Bearer ${token}`, '--protocol-era', era, '--method', 'tools/call', '--tool-name', tool, ...Object.entries(args).flatMap(([k, v]) => ['--tool-arg', `${k}=${v}`])],
  }));
};

/** name -> (url, token, tool, args) -> {command, args, env}, undefined where it is not installed. */
export const SDKS = {
  'Inspector CLI 2.12 (legacy)': inspector('legacy'),
  'Inspector CLI 2.12 (auto)': inspector('auto'),
  'Inspector CLI 2.12 (modern)': inspector('modern'),
  'Python SDK 2.3 (auto)': python('python-clients', 'python_sdk.py', 'auto'),
  'Python SDK 2.3 (legacy)': python('python-clients', 'python_sdk.py', 'legacy'),
  'Python SDK 1.30': python('python-servers-old', 'python_sdk_old.py'),
  'FastMCP 4.1': python('python-clients', 'fastmcp_client.py'),
  'TypeScript SDK 1.32': typescript('1'),
  'TypeScript client 2.4': typescript('2'),
  'TypeScript client 2.4 (auto)': typescript('2-auto'),
};
