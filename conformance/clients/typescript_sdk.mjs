// Both generations of the TypeScript SDK as clients: lists every tool, calls one, prints one JSON line.
// Arguments: DIRECTORY (where the SDK is installed) GENERATION (1, 2 or 2-auto) URL TOKEN TOOL ARGUMENTS
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

const [directory, generation, url, token, tool, args] = process.argv.slice(2);
const require = createRequire(join(directory, 'package.json'));
const load = (name) => import(pathToFileURL(require.resolve(name)));
const info = { name: 'cella-tests', version: '1' };
const options = { requestInit: { headers: token ? { authorization: `Bearer ${token}` } : {} } };

let client, transport;
if (generation === '1') {
  const { Client } = await load('@modelcontextprotocol/sdk/client/index.js');
  const { StreamableHTTPClientTransport } = await load('@modelcontextprotocol/sdk/client/streamableHttp.js');
  client = new Client(info, { capabilities: {} }); transport = new StreamableHTTPClientTransport(new URL(url), options);
} else {
  const { Client, StreamableHTTPClientTransport } = await load('@modelcontextprotocol/client');
  client = new Client(info, { capabilities: {}, ...(generation === '2-auto' ? { versionNegotiation: { mode: 'auto' } } : {}) });
  transport = new StreamableHTTPClientTransport(new URL(url), options);
}
await client.connect(transport);
const { tools } = await client.listTools();
const answer = await client.callTool({ name: tool, arguments: JSON.parse(args) });
console.log(JSON.stringify({ tools: tools.map((t) => t.name), text: answer.content[0].text }));
await client.close();
