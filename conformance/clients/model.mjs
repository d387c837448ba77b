// A scripted model: asks for one tool, then repeats the tool's answer as its final words. It speaks just enough of the
// Anthropic Messages and the OpenAI Responses wires for a real agent to drive a real MCP server without a model.
import http from 'node:http';

/** Starts it. `tool` matches the wanted tool's name. Returns {url, seen, stop}; `seen` holds every request's body. */
export async function model({ tool, args }) {
  const seen = [], script = { tool, args };
  const server = http.createServer(async (request, response) => {
    let text = ''; for await (const part of request) text += part;
    let body = {}; try { body = JSON.parse(text); } catch { /* a probe without a body */ }
    seen.push({ method: request.method, path: request.url, body });
    if (request.url.startsWith('/v1/messages/count_tokens')) return json(response, { input_tokens: 1 });
    if (request.url.startsWith('/v1/messages')) return messages(response, body, script);
    if (request.url.startsWith('/v1/responses')) return responses(response, body, script);
    if (request.url.startsWith('/v1/models')) return json(response, { object: 'list', data: [], models: [] });
    return json(response, {});
  });
  await new Promise((ok) => { server.listen(0, '127.0.0.1', ok); });
  return { url: `http://127.0.0.1:${server.address().port}`, seen, stop: () => { server.closeAllConnections(); server.close(); } };
}

const json = (response, value) => { response.writeHead(200, { 'content-type': 'application/json' }); response.end(JSON.stringify(value)); };
function stream(response, events) {
  response.writeHead(200, { 'content-type': 'text/event-stream' });
  for (const event of events) response.write(`event: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`);
  response.end();
}
const plain = (content) => (typeof content === 'string' ? content : (content ?? []).map((part) => part.text ?? '').join(''));
const lost = (names) => `no such tool among ${names.join(' ')}`;

// ---- Anthropic Messages ----
function messages(response, body, { tool, args }) {
  const last = (body.messages ?? []).flatMap((m) => (Array.isArray(m.content) ? m.content : [])).findLast((c) => c.type === 'tool_result');
  const names = (body.tools ?? []).map((t) => t.name), name = names.find((n) => tool.test(n));
  const wants = !last && name;
  // agents ask for titles and summaries on the side, without tools
  const words = last ? `final: ${plain(last.content)}` : names.length ? lost(names) : 'a title';
  const block = wants ? { type: 'tool_use', id: 'toolu_1', name, input: {} } : { type: 'text', text: '' };
  const delta = wants ? { type: 'input_json_delta', partial_json: JSON.stringify(args) } : { type: 'text_delta', text: words };
  const usage = { input_tokens: 1, output_tokens: 1 };
  stream(response, [
    { type: 'message_start', message: { id: 'msg_1', type: 'message', role: 'assistant', model: body.model, content: [], stop_reason: null, stop_sequence: null, usage } },
    { type: 'content_block_start', index: 0, content_block: block },
    { type: 'content_block_delta', index: 0, delta },
    { type: 'content_block_stop', index: 0 },
    { type: 'message_delta', delta: { stop_reason: wants ? 'tool_use' : 'end_turn', stop_sequence: null }, usage },
    { type: 'message_stop' },
  ]);
}

// ---- OpenAI Responses ----
function responses(response, body, { tool, args }) {
  const last = (Array.isArray(body.input) ? body.input : []).findLast((item) => item.type === 'function_call_output' || item.type === 'mcp_call_output');
  // a namespace holds the tools of one MCP server
  const offered = (body.tools ?? []).flatMap((t) => (t.type === 'namespace' ? t.tools.map((inner) => ({ namespace: t.name, name: inner.name })) : [{ name: t.name }]));
  const wanted = offered.find((t) => tool.test(t.name ?? '') || tool.test(`${t.namespace}${t.name}`));
  const output = typeof last?.output === 'string' ? last.output : plain(last?.output?.content ?? last?.output);
  const item = !last && wanted
    ? { type: 'function_call', id: 'fc_1', call_id: 'call_1', ...wanted, arguments: JSON.stringify(args), status: 'completed' }
    : { type: 'message', id: 'msg_1', role: 'assistant', status: 'completed', content: [{ type: 'output_text', text: last ? `final: ${output}` : lost(offered.map((t) => t.name)), annotations: [] }] };
  const whole = { id: 'resp_1', object: 'response', created_at: 0, model: body.model, status: 'completed', output: [item], usage: { input_tokens: 1, output_tokens: 1, total_tokens: 2, input_tokens_details: { cached_tokens: 0 }, output_tokens_details: { reasoning_tokens: 0 } } };
  stream(response, [
    { type: 'response.created', response: { ...whole, status: 'in_progress', output: [] } },
    { type: 'response.output_item.added', output_index: 0, item },
    { type: 'response.output_item.done', output_index: 0, item },
    { type: 'response.completed', response: whole },
  ]);
}
