// An MCP server with one tool, by hand: the weather, which is fine.
import readline from 'node:readline';

const storm = { name: 'storm', description: 'Makes one. In the phase act alone.', inputSchema: { type: 'object' } };
const tool = { name: 'get_weather', description: 'The weather of a city.', inputSchema: { type: 'object', properties: { city: { type: 'string' } }, required: ['city'] }, annotations: { readOnlyHint: true } };
const ANSWERS = {
  initialize: ({ protocolVersion }) => ({ protocolVersion, capabilities: { tools: {} }, serverInfo: { name: 'weather', version: '1' } }),
  'tools/list': () => ({ tools: [tool, storm] }),
  'tools/call': (params) => {
    // what a server may call others with, for the test to see
    const token = params._meta?.['io.cella/capability'];
    if (token) process.stderr.write(`capability ${token}\n`);
    return { content: [{ type: 'text', text: params.name === 'storm' ? 'thunder' : `sunny in ${params.arguments.city}` }] };
  },
  ping: () => ({}),
};
for await (const line of readline.createInterface({ input: process.stdin })) {
  const { id, method, params } = JSON.parse(line);
  if (id === undefined) continue;
  const answer = ANSWERS[method];
  const said = answer ? { result: answer(params ?? {}) } : { error: { code: -32601, message: `no ${method}` } };
  process.stdout.write(`${JSON.stringify({ jsonrpc: '2.0', id, ...said })}\n`);
}
