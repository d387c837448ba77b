// Nothing that a server or a client says is lost or altered on the way, digits and key order included.
import { at, read, write, without } from '../lib/exact.mjs';
import { MODERN, RAW, connect, textOf } from '../lib/mcp.mjs';
import { contains, ensure, equal, test } from '../lib/report.mjs';

/** Arguments that a typed model or a double would damage. */
const AWKWARD = '{"z":1.0,"a":123456789012345678901234567890,"f":0.10000000000000000001,"e":1E+2,"nul":null,"text":"\\u2028 \\ud83d\\ude00 \\"q\\"","deep":{"y":[],"x":{}}}';
/** What a translation between eras adds to or takes from a result by rule. */
const BY_ERA = ['resultType', 'ttlMs', 'cacheScope', '_meta'];

const body = (text) => without(at(read(text), 'result'), ...BY_ERA);

export async function fidelity({ cella, open, pairs, http, direct }) {
  for (const pair of pairs) {
    const title = `${pair.era} client -> ${pair.name}`;
    const era = pair.era;
    const straight = () => connect(http[pair.era].url, { era });

    await test(`${title}: tool definitions arrive as written`, async () => {
      const [via, own] = [await open(pair.name, era), await straight()];
      const [got, want] = await Promise.all([via, own].map(async (c) => write(at(read((await c.request('tools/list')).text), 'result', 'tools'))));
      await Promise.all([via.close(), own.close()]);
      equal(got, want, 'tools');
    });

    await test(`${title}: vendor fields, big numbers and order of a result survive`, async () => {
      const [via, own] = [await open(pair.name, era), await straight()];
      const [got, want] = await Promise.all([via, own].map((c) => c.request('tools/call', { name: 'fx_vendor_fields', arguments: {} })));
      await Promise.all([via.close(), own.close()]);
      equal(write(body(got.text)), write(body(want.text)), 'result');
      equal(write(at(read(got.text), 'result', '_meta', 'com.example/trace')), '["x"]', '_meta of the server');
    });

    await test(`${title}: three megabytes in one answer pass`, async () => {
      const via = await open(pair.name, era);
      const result = await via.tool('fx_big', { bytes: 3_000_000 }); await via.close();
      equal(textOf(result).length, 3_000_000, 'bytes');
    });

    if (pair.http) await test(`${title}: arguments and foreign _meta reach the server as sent, the token does not`, () => sent(pair, open, direct));
  }
  for (const name of ['http-modern', 'stdio-modern', 'http-dual'].filter((n) => cella.url(n))) {
    await test(`modern client -> ${name}: an opaque requestState comes back unaltered`, async () => {
      const via = await open(name, 'modern');
      const result = await via.tool('fx_opaque_state'); await via.close();
      equal(textOf(result), 'state intact', 'state');
    });
  }
  await test('modern client -> http-modern: an unknown Mcp-Param header is forwarded', async () => {
    await fetch(`${http.modern.base}/__reset`, { method: 'POST' });
    const via = await open('http-modern', 'modern');
    await via.tool('fx_echo_request', {}, { headers: { 'mcp-param-unheard-of': 'yes' } }); await via.close();
    equal((await lastCall(http.modern)).headers['mcp-param-unheard-of'], 'yes', 'header');
  });
}

async function sent({ era, name, http }, open, direct) {
  await fetch(`${http.base}/__reset`, { method: 'POST' });
  const via = await open(name, era);
  const trace = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
  await via.request('tools/call', { name: 'fx_echo_request', arguments: RAW, 'com.example/extra': { b: 1, a: 2 } }, { raw: AWKWARD, meta: { 'com.example/keep': 'me', traceparent: trace } });
  await via.close();
  const request = await lastCall(http), params = at(read(request.raw), 'params');
  equal(write(at(params, 'arguments')), write(read(AWKWARD)), 'arguments');
  equal(write(at(params, 'com.example/extra')), '{"b":1,"a":2}', 'unknown parameter');
  equal(at(params, '_meta', 'com.example/keep')?.value, 'me', 'foreign _meta');
  contains(at(params, '_meta', 'traceparent')?.value, trace.split('-')[1], 'trace id');
  ensure(direct || !request.headers.authorization, "the client's token was sent to the server");
  if (request.headers['mcp-protocol-version'] === MODERN) equal(request.headers['mcp-name'], 'fx_echo_request', 'Mcp-Name');
}

async function lastCall({ base }) {
  const log = await (await fetch(`${base}/__log`)).json();
  const call = log.findLast((entry) => entry.raw.includes('"tools/call"'));
  ensure(call, 'the server saw no call');
  return call;
}
