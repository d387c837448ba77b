// The "client" that the official suite starts: a node whose only server is the suite's, and an agent that lists and
// calls everything once. Argument: the URL of the suite's server.
import { Node } from '../lib/cella.mjs';
import { connect } from '../lib/mcp.mjs';

const context = JSON.parse(process.env.MCP_CONFORMANCE_CONTEXT ?? '{}');

/** Something for every required argument. */
function example(schema) {
  const one = (s) => s.default ?? s.const ?? s.enum?.[0] ?? { string: 'text', integer: 3, number: 3, boolean: true, array: [], object: {} }[[s.type].flat()[0]] ?? 'text';
  return Object.fromEntries(Object.entries(schema?.properties ?? {}).map(([name, s]) => [name, one(s)]));
}
const accept = (method, params) => {
  if (method === 'elicitation/create') return { action: 'accept', content: example(params.requestedSchema) };
  if (method === 'roots/list') return { roots: [] };
  return { role: 'assistant', model: 'none', content: { type: 'text', text: 'text' }, stopReason: 'endTurn' };
};

const cella = await new Node({ servers: { peer: { url: process.argv.at(-1) } } }).start();
const agent = await connect(cella.url('peer'), { era: 'legacy', token: cella.token, answer: accept });
const attempt = async (what) => { try { return await what(); } catch (error) { console.error(error.message); return undefined; } };

const tools = (await attempt(() => agent.list('tools'))) ?? [];
/** The suite's tool that wants another tool's schema back, to see whether it survived. */
const ECHO = 'json_schema_echo';
const other = tools.find((tool) => tool.name !== ECHO)?.inputSchema;
const calls = context.toolCalls ?? tools.map((tool) => ({ name: tool.name, arguments: tool.name === ECHO ? { schema: other } : example(tool.inputSchema) }));
for (const call of calls) await attempt(() => agent.tool(call.name, call.arguments));
for (const prompt of (await attempt(() => agent.list('prompts'))) ?? []) await attempt(() => agent.result('prompts/get', { name: prompt.name, arguments: {} }));
for (const resource of (await attempt(() => agent.list('resources'))) ?? []) await attempt(() => agent.result('resources/read', { uri: resource.uri }));
await agent.close();
await cella.stop();
process.exit(0);
