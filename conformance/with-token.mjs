// Preloaded into programs that cannot send a bearer token (`node --import with-token.mjs program.js`): adds one to
// every request they make, on the way out. Nothing stands between them and the node under test, so Host, streaming
// and connection behaviour stay theirs. The token is in CELLA_TEST_TOKEN.
import channel from 'node:diagnostics_channel';

const value = `Bearer ${process.env.CELLA_TEST_TOKEN}`;

// fetch, and every other client built on undici
channel.channel('undici:request:create').subscribe(({ request }) => {
  const present = JSON.stringify(request.headers ?? '').toLowerCase().includes('authorization');
  if (!present) request.addHeader('authorization', value);
});

// node:http
channel.channel('http.client.request.created').subscribe(({ request }) => {
  if (!request.hasHeader('authorization')) request.setHeader('authorization', value);
});
