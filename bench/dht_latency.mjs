// How long a worker's look-ups take in a swarm of 60 bittorrent-dht nodes, each of which answers
// after a delay of its own: round trips of 60 ms at the median, 137 ms at the 95th percentile. The
// last half of the keys is asked for when a fifth of the nodes is gone.
//
//     KOLLATOR_BIN=build/release/src/app/kollator node bench/dht_latency.mjs [keys]

import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { announce, startNodes } from '../tests/support/dht_swarm.mjs';
import { startWorker, until } from '../tests/support/worker.mjs';

const NODES = 60;
const DYING = 12; // none of those that announced
const KEYS = Number(process.argv[2] ?? 300);
const FIRST_PORT = 31000;
const MEDIAN_MS = 60;
const SIGMA = 0.5;

const normal = () => Math.sqrt(-2 * Math.log(1 - Math.random())) * Math.cos(2 * Math.PI * Math.random());
const delayMs = () => MEDIAN_MS * Math.exp(SIGMA * normal());

function summary(name, times, found) {
  times.sort((a, b) => a - b);
  const at = (share) => times[Math.floor(share * (times.length - 1))].toFixed(1);
  console.log(`| ${name} | ${found} of ${times.length} | ${at(0.5)} | ${at(0.99)} | ${at(1)} |`);
}

async function measure(worker, hashes, first) {
  const times = [];
  let found = 0;
  for (const [i, hash] of hashes.entries()) {
    const began = performance.now();
    const { peers } = await worker.get(`/dht/lookup/${hash.toString('hex')}`);
    times.push(performance.now() - began);
    if (peers?.some(({ port }) => port === first + i)) found++;
  }
  return { times, found };
}

const folder = await mkdtemp(join(tmpdir(), 'kollator-dht-'));
const { nodes, entry } = await startNodes(NODES, delayMs);
const worker = await startWorker({
  DATA_DIR: folder, DHT_BOOTSTRAP_NODES: entry, DHT_PORT: '0', DHT_ALLOW_PRIVATE: '1',
});
const contacts = async () => (await worker.get('/stats')).dht.network.contacts;
await until('the worker joins', async () => (await contacts()) >= 10);
const hashes = Array.from({ length: KEYS }, () => randomBytes(32));
for (let i = 0; i < KEYS; i += 20) {
  await Promise.all(hashes.slice(i, i + 20).map((hash, j) =>
    announce(nodes[(i + j) % (NODES - DYING)], hash.subarray(0, 20), FIRST_PORT + i + j)));
}
await until('the shard keys are out', async () => (await worker.get('/stats')).dht.announcer.due === 0);
console.log(`contacts: ${await contacts()}`);
console.log('| look-ups | found | p50 ms | p99 ms | most ms |\n| --- | --- | --- | --- | --- |');
const report = async (name, from, to) => {
  const { times, found } = await measure(worker, hashes.slice(from, to), FIRST_PORT + from);
  summary(name, times, found);
};
const half = Math.floor(KEYS / 2);
await report('cold', 0, half);
await report('from the cache', 0, half);
for (const node of nodes.splice(NODES - DYING)) node.destroy();
await report('cold, a fifth of the nodes dead', half, KEYS);
const metrics = await (await fetch(`${worker.url}/metrics`)).text();
console.log(metrics.split('\n').filter((line) => line.startsWith('kollator_dht_lookup_seconds')).join('\n'));
await worker.stop();
for (const node of nodes) node.destroy();
await rm(folder, { recursive: true, force: true });
