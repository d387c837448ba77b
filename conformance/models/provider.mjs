// Providers of models with a script: OpenAI's Chat, Responses and Embeddings, Anthropic's Messages. The model's name says how
// they behave, so that each check asks for what it wants to see; everything asked is kept for the checks to look at.
import http from 'node:http';

/** The weather's tool, under whatever name it is offered. */
const weather = (names) => names?.find((name) => name?.endsWith('get_weather'));
const ARGUMENTS = '{"city": "Paris"}';

/** Starts one. Returns {url, seen, stop}. */
export async function provider() {
  const seen = [];
  const server = http.createServer(async (request, response) => {
    let text = ''; for await (const part of request) text += part;
    let body = {}; try { body = JSON.parse(text); } catch { /* a list has no body */ }
    const entry = { method: request.method, path: request.url, headers: request.headers, body, text, cut: false };
    seen.push(entry);
    response.on('close', () => { if (!response.writableFinished) entry.cut = true; });
    if (request.url === '/v1/models') return json(response, 200, { object: 'list', data: [{ id: 'gpt-test', object: 'model', created: 1, owned_by: 'x' }] });
    const fault = FAULTS[body.model];
    if (fault) return fault(response, request.url);
    const answer = ANSWERS[request.url];
    if (!answer) return json(response, 404, { error: { message: `no ${request.url}`, type: 'invalid_request_error', code: null, param: null } });
    return answer(response, body);
  });
  await new Promise((ok) => { server.listen(0, '127.0.0.1', ok); });
  return { url: `http://127.0.0.1:${server.address().port}/v1`, seen, stop: () => { server.closeAllConnections(); server.close(); } };
}

const json = (response, status, value, headers = {}) => { response.writeHead(status, { 'content-type': 'application/json', ...headers }); response.end(JSON.stringify(value)); };
const error = (message, type, code) => ({ error: { message, type, code, param: null } });
const sse = (response) => response.writeHead(200, { 'content-type': 'text/event-stream' });

const FAULTS = {
  limited: (r) => json(r, 429, error('slow down', 'requests', 'rate_limit_exceeded'), { 'retry-after': '1' }),
  poor: (r) => json(r, 429, error('no credit', 'insufficient_quota', 'insufficient_quota')),
  wrong: (r) => json(r, 400, error('that makes no sense', 'invalid_request_error', 'weird')),
  locked: (r) => json(r, 401, error('Incorrect API key provided: sk-upstream', 'invalid_request_error', 'invalid_api_key')),
  broken: (r) => json(r, 500, error('oops', 'server_error', null)),
  page: (r) => { r.writeHead(200, { 'content-type': 'text/html' }); r.end('<h1>hello</h1>'); },
  cut: (r) => { sse(r); r.write(`data: ${JSON.stringify(chunk('cut', { role: 'assistant', content: 'Hel' }))}\n\n`); setTimeout(() => r.destroy(), 50); },
  slow: (r) => {
    sse(r); let n = 0;
    const timer = setInterval(() => {
      if (n < 20) { n += 1; r.write(`data: ${JSON.stringify(chunk('slow', { content: `word${n} ` }))}\n\n`); return; }
      clearInterval(timer); r.write(`data: ${JSON.stringify(chunk('slow', {}, 'stop'))}\n\n`); r.end('data: [DONE]\n\n');
    }, 40);
    r.on('close', () => clearInterval(timer));
  },
  endless: (r) => {
    sse(r);
    const timer = setInterval(() => r.write(`data: ${JSON.stringify(chunk('endless', { content: 'more and more and more words, ' }))}\n\n`), 5);
    r.on('close', () => clearInterval(timer));
  },
};

// ---- Chat ----
const chunk = (model, delta, finish = null) => ({ id: 'chatcmpl-up', object: 'chat.completion.chunk', created: 1, model, system_fingerprint: 'fp_up', choices: [{ index: 0, delta, finish_reason: finish, logprobs: null }] });
const said = (content) => (typeof content === 'string' ? content : (content ?? []).map((part) => part.text ?? part.content ?? '').join(''));

function chat(response, body) {
  const last = body.messages.at(-1), tool = weather(body.tools?.map((t) => t.function?.name)), wants = tool && last.role === 'user' && /weather/.test(said(last.content));
  const words = last.role === 'tool' ? `It is ${said(last.content)}.` : `You said: ${said(last.content)}`;
  const text = body.response_format?.type === 'json_schema' ? '{"city": "Paris", "celsius": 21}' : words;
  const usage = { prompt_tokens: 11, completion_tokens: 7, total_tokens: 18 };
  const call = { id: 'call_up', type: 'function', function: { name: tool, arguments: ARGUMENTS } };
  if (!body.stream) {
    const message = wants ? { role: 'assistant', content: null, tool_calls: [call] } : { role: 'assistant', content: text, refusal: null, annotations: [] };
    return json(response, 200, { id: 'chatcmpl-up', object: 'chat.completion', created: 1, model: body.model, system_fingerprint: 'fp_up', choices: [{ index: 0, message, logprobs: null, finish_reason: wants ? 'tool_calls' : 'stop' }], usage });
  }
  sse(response);
  const send = (value) => response.write(`data: ${JSON.stringify(value)}\n\n`);
  if (wants) {
    send(chunk(body.model, { role: 'assistant', content: null, tool_calls: [{ index: 0, ...call, function: { name: tool, arguments: '' } }] }));
    for (const part of [ARGUMENTS.slice(0, 8), ARGUMENTS.slice(8)]) send(chunk(body.model, { tool_calls: [{ index: 0, function: { arguments: part } }] }));
  } else {
    send(chunk(body.model, { role: 'assistant', content: '' }));
    for (const part of text.match(/.{1,4}/gs)) send(chunk(body.model, { content: part }));
  }
  send(chunk(body.model, {}, wants ? 'tool_calls' : 'stop'));
  if (body.stream_options?.include_usage) send({ ...chunk(body.model, {}), choices: [], usage });
  response.end('data: [DONE]\n\n');
}

// ---- Responses ----
function responses(response, body) {
  const items = typeof body.input === 'string' ? [{ role: 'user', content: body.input }] : body.input, last = items.at(-1);
  const tool = weather(body.tools?.map((t) => t.name)), wants = tool && last.type !== 'function_call_output' && /weather/.test(said(last.content));
  const words = last.type === 'function_call_output' ? `It is ${said(last.output)}.` : `You said: ${said(last.content)}`;
  const item = wants
    ? { type: 'function_call', id: 'fc_up', call_id: 'call_up', name: tool, arguments: ARGUMENTS, status: 'completed' }
    : { type: 'message', id: 'msg_up', role: 'assistant', status: 'completed', content: [{ type: 'output_text', text: words, annotations: [] }] };
  const whole = { id: 'resp_up', object: 'response', created_at: 1, model: body.model, status: 'completed', output: [item], error: null, incomplete_details: null, instructions: null, metadata: {}, parallel_tool_calls: true, temperature: 1, top_p: 1, tool_choice: 'auto', tools: [], usage: { input_tokens: 11, output_tokens: 7, total_tokens: 18, input_tokens_details: { cached_tokens: 0 }, output_tokens_details: { reasoning_tokens: 0 } } };
  if (!body.stream) return json(response, 200, whole);
  sse(response);
  let sequence_number = 0;
  const send = (event) => response.write(`event: ${event.type}\ndata: ${JSON.stringify({ ...event, sequence_number: sequence_number++ })}\n\n`);
  send({ type: 'response.created', response: { ...whole, status: 'in_progress', output: [] } });
  if (wants) {
    send({ type: 'response.output_item.added', output_index: 0, item: { ...item, arguments: '', status: 'in_progress' } });
    send({ type: 'response.function_call_arguments.delta', output_index: 0, item_id: 'fc_up', delta: ARGUMENTS });
    send({ type: 'response.function_call_arguments.done', output_index: 0, item_id: 'fc_up', name: tool, arguments: ARGUMENTS });
  } else {
    send({ type: 'response.output_item.added', output_index: 0, item: { ...item, content: [], status: 'in_progress' } });
    send({ type: 'response.content_part.added', output_index: 0, content_index: 0, item_id: 'msg_up', part: { type: 'output_text', text: '', annotations: [] } });
    for (const delta of words.match(/.{1,4}/gs)) send({ type: 'response.output_text.delta', output_index: 0, content_index: 0, item_id: 'msg_up', delta, logprobs: [] });
    send({ type: 'response.output_text.done', output_index: 0, content_index: 0, item_id: 'msg_up', text: words, logprobs: [] });
    send({ type: 'response.content_part.done', output_index: 0, content_index: 0, item_id: 'msg_up', part: item.content[0] });
  }
  send({ type: 'response.output_item.done', output_index: 0, item });
  send({ type: 'response.completed', response: whole });
  response.end();
}

// ---- Messages ----
function messages(response, body) {
  const last = body.messages.at(-1), parts = Array.isArray(last.content) ? last.content : [{ type: 'text', text: last.content }];
  const result = parts.find((part) => part.type === 'tool_result');
  const tool = weather(body.tools?.map((t) => t.name)), wants = tool && !result && /weather/.test(said(last.content));
  const words = result ? `It is ${said(result.content)}.` : `You said: ${said(last.content)}`;
  const block = wants ? { type: 'tool_use', id: 'toolu_up', name: tool, input: JSON.parse(ARGUMENTS) } : { type: 'text', text: words };
  const usage = { input_tokens: 11, output_tokens: 7 };
  const whole = { id: 'msg_up', type: 'message', role: 'assistant', model: body.model, content: [block], stop_reason: wants ? 'tool_use' : 'end_turn', stop_sequence: null, usage };
  if (!body.stream) return json(response, 200, whole);
  sse(response);
  const send = (event) => response.write(`event: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`);
  send({ type: 'message_start', message: { ...whole, content: [], stop_reason: null, usage: { input_tokens: 11, output_tokens: 1 } } });
  send({ type: 'content_block_start', index: 0, content_block: wants ? { ...block, input: {} } : { type: 'text', text: '' } });
  if (wants) send({ type: 'content_block_delta', index: 0, delta: { type: 'input_json_delta', partial_json: ARGUMENTS } });
  else for (const text of words.match(/.{1,4}/gs)) send({ type: 'content_block_delta', index: 0, delta: { type: 'text_delta', text } });
  send({ type: 'content_block_stop', index: 0 });
  send({ type: 'message_delta', delta: { stop_reason: whole.stop_reason, stop_sequence: null }, usage: { output_tokens: 7 } });
  send({ type: 'message_stop' });
  response.end();
}

const ANSWERS = {
  '/v1/chat/completions': chat,
  '/v1/responses': responses,
  '/v1/messages': messages,
  '/v1/embeddings': (response, body) => json(response, 200, { object: 'list', model: body.model, data: [body.input].flat().map((_, index) => ({ object: 'embedding', index, embedding: [0.25, -0.5, 1] })), usage: { prompt_tokens: 4, total_tokens: 4 } }),
};
