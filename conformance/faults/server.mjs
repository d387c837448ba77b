// A stdio server that misbehaves on purpose. Argument: how.
//   hangs           reads and never answers
//   crashes         dies as soon as it is asked something
//   garbage         answers with what is no JSON-RPC, without end
//   ledger FILE     works; its tool `pay` appends a line to FILE, waits, then answers
import { appendFileSync } from 'node:fs';
import readline from 'node:readline';

const [mode, file] = process.argv.slice(2);
const out = (message) => process.stdout.write(`${JSON.stringify(message)}\n`);
const text = (t) => ({ content: [{ type: 'text', text: t }] });
const TOOLS = [{ name: 'pay', description: 'Pays once per call', inputSchema: { type: 'object', properties: { id: { type: 'string' }, ms: { type: 'integer' } } } }];

readline.createInterface({ input: process.stdin }).on('line', (line) => {
  if (mode === 'hangs') return;
  if (mode === 'crashes') { process.stderr.write('cannot open the database\n'); process.exit(3); }
  if (mode === 'garbage') { setInterval(() => process.stdout.write('no JSON at all\n'), 20); return; }
  const { id, method, params } = JSON.parse(line);
  if (id === undefined) return;
  if (method === 'initialize') return out({ jsonrpc: '2.0', id, result: { protocolVersion: '2025-06-18', capabilities: { tools: {} }, serverInfo: { name: 'ledger', version: '1' } } });
  if (method === 'tools/list') return out({ jsonrpc: '2.0', id, result: { tools: TOOLS } });
  if (method === 'tools/call') {
    appendFileSync(file, `${params.arguments.id}\n`);
    return setTimeout(() => out({ jsonrpc: '2.0', id, result: text(`paid ${params.arguments.id}`) }), params.arguments.ms ?? 0);
  }
  return out({ jsonrpc: '2.0', id, error: { code: -32601, message: 'Method not found' } });
}).on('close', () => process.exit(0));
