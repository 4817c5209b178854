// Where a worker's time goes while it serves 5 MiB chunks: shares of its samples by layer, and its
// system calls for each MB. Prints Markdown tables. Needs perf(1) and the right to use it.
//
//   node bench/layers.mjs [--client node|own] [--seconds 10] [--build build/release]
//
// `own`: our transport (peer_load, -DKOLLATOR_BENCH=ON), ten connections; `node`: node-datachannel,
// one connection. The build must have its symbols.

import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs, promisify } from 'node:util';
import { cleanup } from 'node-datachannel';
import { seededChunk } from './load/chunks.mjs';
import { Connection } from './load/client.mjs';
import { startWorker } from './load/worker.mjs';

const { values: options } = parseArgs({
  options: {
    client: { type: 'string', default: 'own' },
    seconds: { type: 'string', default: '10' },
    build: { type: 'string', default: 'build/release' },
  },
});
const CHUNK_BYTES = 5 * 1024 * 1024;
const CHUNKS = 20;
const run = promisify(execFile);

/** The layer of the innermost frame that tells one; a copy or a lock is its caller's. */
const LAYERS = [
  ['DTLS', /libIPSec_MB|rtc::.*(Dtls|RecordLayer|RecordCipher|ReplayWindow|make_nonce|make_associated|take_record)/],
  ['SCTP and channels', /rtc::(sctp::|OwnAssociation|OwnSctp|.*DataTransport|.*ChannelSet|.*Channel\b)|crc32c/],
  ['ICE, sockets, routes', /rtc::(Udp|SendQueue|ReceiveThrottle|PeerConnection|Ice|Stun|Turn|RouteKey)|siphash/],
  ['session, chunks, cache', /libxxhash|kollator::(session|chunk|cache|store|app|stats|http)::/],
  ['event loop', /kollator::(EventLoop|Timer|FdWatch)|boost::asio/],
];
const CALLS = [
  'sendmmsg', 'recvmmsg', 'preadv2', 'epoll_wait', 'epoll_ctl', 'timerfd_settime', 'futex', 'read', 'write',
];

function layerOf(frames) {
  if (frames[0].kernel) {
    const call = CALLS.find((name) =>
      frames.some(({ text }) => text.startsWith(`__x64_sys_${name} `) || text.startsWith(`do_${name.slice(0, -1)} `)));
    return `kernel: ${call ?? 'other'}`;
  }
  for (const { text } of frames) {
    const found = LAYERS.find(([, pattern]) => pattern.test(text));
    if (found) return found[0];
  }
  return 'other';
}

/** Samples by layer, of what `perf script -F ip,sym,dso` prints: an empty line between samples. */
function countLayers(text) {
  const counts = new Map();
  for (const sample of text.split('\n\n')) {
    const frames = sample
      .split('\n')
      .map((line) => /^\s*[0-9a-f]+ (.*) \((\S+)\)$/.exec(line))
      .filter(Boolean)
      .map(([, symbol, dso]) => ({ text: `${symbol} ${dso}`, kernel: dso === '[kernel.kallsyms]' }));
    if (frames.length === 0) continue;
    const layer = layerOf(frames);
    counts.set(layer, (counts.get(layer) ?? 0) + 1);
  }
  return [...counts].sort((a, b) => b[1] - a[1]);
}

/** Keeps the worker busy until `stop()`. */
async function startLoad(worker) {
  if (options.client === 'own') {
    const client = spawn(join(options.build, 'bench/peer_load'), [
      '--url', worker.url, '--pid', String(worker.pid), '--connections', '10', '--seconds', '600',
    ]);
    return async () => {
      client.kill('SIGKILL');
      await once(client, 'exit');
    };
  }
  const connection = await Connection.open(worker.url);
  const hashes = [];
  for (let i = 0; i < CHUNKS; i++) hashes.push(await connection.store(seededChunk(i, CHUNK_BYTES)));
  let stopped = false;
  const reading = (async () => {
    for (let i = 0; !stopped; i++) await connection.get(hashes[i % CHUNKS]);
  })();
  return async () => {
    stopped = true;
    await reading;
    connection.close();
  };
}

// What perf stat runs, so that it counts for as long as bytes are counted.
const SENT = `const sent = async () => Number(/^kollator_rtc_sent_bytes_total (\\S+)$/m
  .exec(await (await fetch(process.argv[1] + '/metrics')).text())[1]) / 1e6;
const before = await sent();
await new Promise((resolve) => setTimeout(resolve, 1000 * process.argv[2]));
console.log(await sent() - before);`;

async function sentMegabytes(url, seconds, ...prefix) {
  const command = [...prefix, process.execPath, '--input-type=module', '-e', SENT, url, seconds];
  const { stdout, stderr } = await run(command[0], command.slice(1), { maxBuffer: 1 << 26 });
  return { megabytes: Number(stdout), stderr };
}

const folder = await mkdtemp(join(tmpdir(), 'bench-layers-'));
const worker = await startWorker('kollator');
try {
  const stop = await startLoad(worker);
  await sentMegabytes(worker.url, '3'); // warm
  const events = CALLS.map((name) => `syscalls:sys_enter_${name}`).join(',');
  const { megabytes, stderr } = await sentMegabytes(worker.url, options.seconds,
    'perf', 'stat', '-x,', '-e', events, '-p', String(worker.pid), '--');

  const data = join(folder, 'perf.data');
  await run('perf', ['record', '-o', data, '-F', '250', '--call-graph', 'dwarf,16384', '-p', String(worker.pid),
    '--', 'sleep', options.seconds], { maxBuffer: 1 << 26 });
  await stop();
  const { stdout } = await run('perf', ['script', '-i', data, '-F', 'ip,sym,dso'], { maxBuffer: 1 << 30 });
  const layers = countLayers(stdout);
  const total = layers.reduce((sum, [, count]) => sum + count, 0);

  console.log(`${Math.round(megabytes / Number(options.seconds))} MB/s\n\n| layer | samples, % |\n| --- | --- |`);
  for (const [name, count] of layers) console.log(`| ${name} | ${((100 * count) / total).toFixed(1)} |`);
  console.log('\n| system call | for each MB |\n| --- | --- |');
  stderr
    .split('\n')
    .map((line) => line.split(','))
    .map(([count, , event]) => [event?.replace('syscalls:sys_enter_', ''), Number(count) / megabytes])
    .filter(([, count]) => count >= 0.05)
    .sort((a, b) => b[1] - a[1])
    .forEach(([name, count]) => console.log(`| ${name} | ${count.toFixed(1)} |`));
} finally {
  await worker.stop();
  await rm(folder, { recursive: true, force: true });
  cleanup();
}
