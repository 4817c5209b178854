// A way to a worker through the impairment relay, for any client that connects by POST /rtc: a
// proxy that takes the offer, and leaves the relay as the only address on both sides.

import { spawn } from 'node:child_process';
import { createServer } from 'node:http';
import { createInterface } from 'node:readline';

async function startRelay(program, to, parameters) {
  const child = spawn(program, ['--to', to, ...parameters], { stdio: ['pipe', 'pipe', 'inherit'] });
  const lines = createInterface({ input: child.stdout });
  const port = await new Promise((resolve, reject) => {
    lines.once('line', (line) => resolve(Number(/port (\d+)/.exec(line)[1])));
    child.once('error', reject);
    child.once('exit', (code) => reject(new Error(`the relay ended with ${code}`)));
  });
  return { port, stop: () => child.stdin.end() };
}

async function bodyOf(request) {
  const parts = [];
  for await (const part of request) parts.push(part);
  return Buffer.concat(parts).toString();
}

/** `parameters`: the relay's, but for --to. Gives a `url` in place of the worker's, and `stop()`. */
export async function startImpairedWay(workerUrl, program, parameters) {
  const relays = [];
  const server = createServer(async (request, response) => {
    const offer = await bodyOf(request);
    // Trickled addresses would lead around the relay.
    if (request.method !== 'POST') return response.writeHead(204).end();
    const answer = await fetch(new URL(request.url, workerUrl), {
      method: 'POST',
      headers: { 'content-type': 'application/sdp' },
      body: offer.replace(/^a=candidate:.*\r\n/gm, ''),
    });
    const sdp = await answer.text();
    const [, host, port] = /^a=candidate:\S+ 1 udp \d+ ([\d.]+) (\d+) typ host/im.exec(sdp);
    const relay = await startRelay(program, `${host}:${port}`, parameters);
    relays.push(relay);
    const only = `a=candidate:1 1 UDP 2130706431 127.0.0.1 ${relay.port} typ host\r\n`;
    const rest = sdp.replace(/^a=candidate:.*\r\n/gm, '').replace(/^a=end-of-candidates\r\n/gm, '');
    response.writeHead(answer.status, { 'content-type': 'application/sdp', location: '/rtc/impaired' });
    response.end(`${rest}${only}a=end-of-candidates\r\n`);
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${server.address().port}`,
    stop() {
      server.close();
      server.closeAllConnections();
      for (const relay of relays) relay.stop();
    },
  };
}
