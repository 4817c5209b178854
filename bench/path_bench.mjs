// One connection over paths with delay and loss, through the impairment relay in user space: what a
// worker's cached chunks of 1 MiB, 16 asked for at once, bring in some seconds, the ramp from nothing
// included. Three pairs over the same relay: the reference worker and node-datachannel; `kollator
// worker` and node-datachannel; `kollator worker` and our own transport (peer_load). Prints a
// Markdown table of Mbit/s.
//
//   node bench/path_bench.mjs [--seconds 5] [--rounds 1] [--round-trips 0,20,50,100]
//                             [--losses 0,0.001,0.01] [--build build/release]
//
// Needs a build with -DKOLLATOR_BENCH=ON -DKOLLATOR_TESTS=ON (targets kollator, peer_load and
// impairment_relay).

import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { parseArgs, promisify } from 'node:util';
import { cleanup } from 'node-datachannel';
import { seededChunk } from './load/chunks.mjs';
import { Connection } from './load/client.mjs';
import { startImpairedWay } from './load/impaired.mjs';
import { median } from './load/statistics.mjs';
import { startWorker } from './load/worker.mjs';

const CHUNK_BYTES = 1024 * 1024;
const CHUNKS = 32;
const IN_FLIGHT = 16;

const { values: options } = parseArgs({
  options: {
    seconds: { type: 'string', default: '5' },
    rounds: { type: 'string', default: '1' },
    'round-trips': { type: 'string', default: '0,20,50,100' },
    losses: { type: 'string', default: '0,0.001,0.01' },
    build: { type: 'string', default: 'build/release' },
  },
});
const ROUND_TRIPS_MS = options['round-trips'].split(',').map(Number);
const LOSSES = options.losses.split(',').map(Number);
const seconds = Number(options.seconds);
const relay = join(options.build, 'tests/support/relay/impairment_relay');

/** node-datachannel as the client. */
async function throughNode(worker, way) {
  const loader = await Connection.open(worker.url);
  const hashes = [];
  for (let n = 0; n < CHUNKS; n++) hashes.push(await loader.store(seededChunk(n, CHUNK_BYTES)));
  loader.close();
  const connection = await Connection.open(way.url);
  let received = 0;
  let next = 0;
  const begun = performance.now();
  const lane = async () => {
    for (;;) await connection.get(hashes[next++ % CHUNKS], (bytes) => (received += bytes));
  };
  // They end when the connection is closed.
  const lanes = Array.from({ length: IN_FLIGHT }, () => lane().catch(() => {}));
  await new Promise((resolve) => setTimeout(resolve, seconds * 1000));
  const rate = (received * 8) / 1e3 / (performance.now() - begun);
  connection.close();
  await Promise.all(lanes);
  return rate;
}

/** Our own transport. */
async function throughOwn(worker, way) {
  const client = async (url, parameters) => {
    const about = ['--url', url, '--pid', String(worker.pid), '--size', String(CHUNK_BYTES)];
    const chunks = ['--chunks', String(CHUNKS), '--in-flight', String(IN_FLIGHT)];
    const program = join(options.build, 'bench/peer_load');
    const { stdout } = await promisify(execFile)(program, [...about, ...chunks, ...parameters]);
    return JSON.parse(stdout);
  };
  await client(worker.url, ['--requests', '1']);
  return (await client(way.url, ['--no-store', '--seconds', options.seconds])).megabits_per_second;
}

const PAIRS = [
  ['reference, node-datachannel', 'reference', throughNode],
  ['kollator, node-datachannel', 'kollator', throughNode],
  ['kollator, our transport', 'kollator', throughOwn],
];

async function measure(name, run, roundTripMs, loss) {
  const worker = await startWorker(name);
  const path = ['--delay-ms', String(roundTripMs / 2), '--loss', String(loss), '--queue-kb', '4000'];
  const way = await startImpairedWay(worker.url, relay, path);
  try {
    return await run(worker, way);
  } finally {
    way.stop();
    await worker.stop();
  }
}

const titles = LOSSES.flatMap((loss) => PAIRS.map(([title]) => `loss ${loss * 100} %: ${title}`));
console.log(`| Mbit/s in ${seconds} s | ${titles.join(' | ')} |`);
console.log(`| --- |${titles.map(() => ' --- |').join('')}`);
for (const roundTripMs of ROUND_TRIPS_MS) {
  const cells = [];
  for (const loss of LOSSES) {
    const rates = PAIRS.map(() => []);
    for (let round = 0; round < Number(options.rounds); round++) {
      for (const [n, [, name, run]] of PAIRS.entries()) {
        rates[n].push(await measure(name, run, roundTripMs, loss).catch((error) => {
          console.error(`${name}, ${roundTripMs} ms, ${loss}: ${error.message}`);
          return 0;
        }));
      }
    }
    cells.push(...rates.map((each) => median(each).toFixed(0)));
  }
  console.log(`| ${roundTripMs} ms | ${cells.join(' | ')} |`);
}
cleanup();
