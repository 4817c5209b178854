// `kollator worker` beside the reference worker, with the same client, in one run: round by round,
// one after the other, medians at the end. Prints a Markdown table.
//
//   node bench/worker_bench.mjs [--rounds 3] [--megabytes 300] [--only kollator|reference]
//
// KOLLATOR_BIN names the executable (default build/release/src/app/kollator).

import { createHash } from 'node:crypto';
import { cpus } from 'node:os';
import { parseArgs } from 'node:util';
import { cleanup } from 'node-datachannel';
import { seededChunk } from './load/chunks.mjs';
import { Connection } from './load/client.mjs';
import { median } from './load/statistics.mjs';
import { cpuSeconds, residentBytes, startWorker } from './load/worker.mjs';

const CHUNK_BYTES = 5 * 1024 * 1024;
const SMALL_BYTES = 16 * 1024;
const LARGE_CHUNKS = 20;
const SMALL_CHUNKS = 500;
const SMALL_IN_FLIGHT = 16;
const SMALL_REQUESTS = 6000;
const IDLE_CONNECTIONS = 100;

const { values: options } = parseArgs({
  options: {
    rounds: { type: 'string', default: '3' },
    megabytes: { type: 'string', default: '300' },
    only: { type: 'string' },
  },
});

function percentile(sorted, share) {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))];
}

/** Gets `requests` chunks over the connections, `inFlight` at once on each. */
async function load(worker, connections, hashes, requests, inFlight) {
  const times = [];
  let bytes = 0;
  let next = 0;
  const before = await cpuSeconds(worker.pid);
  const begin = performance.now();
  const lane = async (connection) => {
    while (next < requests) {
      const hash = hashes[next++ % hashes.length];
      const asked = performance.now();
      const chunk = await connection.get(hash);
      times.push(performance.now() - asked);
      bytes += chunk.length;
      if (!createHash('sha256').update(chunk).digest().equals(hash)) throw new Error('wrong bytes');
    }
  };
  await Promise.all(connections.flatMap((one) => Array.from({ length: inFlight }, () => lane(one))));
  const seconds = (performance.now() - begin) / 1000;
  const cpu = (await cpuSeconds(worker.pid)) - before;
  times.sort((a, b) => a - b);
  return {
    megabytesPerSecond: bytes / 1e6 / seconds,
    perSecond: times.length / seconds,
    p50: percentile(times, 0.5),
    p99: percentile(times, 0.99),
    cpuPerGigabyte: cpu / (bytes / 1e9),
  };
}

async function measure(name) {
  const worker = await startWorker(name);
  try {
    const one = await Connection.open(worker.url);
    const large = [];
    const small = [];
    for (let i = 0; i < LARGE_CHUNKS; i++) large.push(await one.store(seededChunk(i, CHUNK_BYTES)));
    for (let i = 0; i < SMALL_CHUNKS; i++) small.push(await one.store(seededChunk(1000 + i, SMALL_BYTES)));
    const requests = Math.ceil((Number(options.megabytes) * 1e6) / CHUNK_BYTES);
    await load(worker, [one], large, LARGE_CHUNKS, 1); // warm
    const result = { name };
    result.large1 = await load(worker, [one], large, requests, 1);
    const many = [one];
    for (const count of [10, 50]) {
      while (many.length < count) many.push(await Connection.open(worker.url));
      result[`large${count}`] = await load(worker, many, large, requests, 1);
    }
    result.small1 = await load(worker, [one], small, SMALL_REQUESTS, SMALL_IN_FLIGHT);
    for (const connection of many) connection.close();
    return result;
  } finally {
    await worker.stop();
  }
}

/** In a fresh process: what was freed before must not hide what a connection takes. */
async function measureIdle(name) {
  const worker = await startWorker(name);
  try {
    const connections = [await Connection.open(worker.url)];
    const before = await residentBytes(worker.pid);
    while (connections.length <= IDLE_CONNECTIONS) connections.push(await Connection.open(worker.url));
    const after = await residentBytes(worker.pid);
    for (const connection of connections) connection.close();
    return (after - before) / 1024 / IDLE_CONNECTIONS;
  } finally {
    await worker.stop();
  }
}

const names = options.only ? [options.only] : ['reference', 'kollator'];
const rounds = [];
for (let round = 0; round < Number(options.rounds); round++) {
  for (const name of names) {
    rounds.push({ ...(await measure(name)), idleKilobytes: await measureIdle(name) });
    console.error(`round ${round + 1}: ${name} measured`);
  }
}

const columns = [
  ...[1, 10, 50].flatMap((count) => [
    [`5 MiB × ${count} conn: MB/s`, (r) => r[`large${count}`].megabytesPerSecond, 0],
    ['p50 ms', (r) => r[`large${count}`].p50, 1],
    ['p99 ms', (r) => r[`large${count}`].p99, 1],
    ['worker CPU s/GB', (r) => r[`large${count}`].cpuPerGigabyte, 2],
  ]),
  ['16 KiB chunks/s', (r) => r.small1.perSecond, 0],
  ['p50 ms', (r) => r.small1.p50, 1],
  ['p99 ms', (r) => r.small1.p99, 1],
  ['idle connection kB', (r) => r.idleKilobytes, 0],
];
console.log(`${cpus().length} × ${cpus()[0].model}; Node ${process.version}; medians of ${options.rounds} rounds\n`);
console.log(`| worker | ${columns.map(([title]) => title).join(' | ')} |`);
console.log(`| --- |${columns.map(() => ' --- |').join('')}`);
for (const name of names) {
  const own = rounds.filter((result) => result.name === name);
  const cells = columns.map(([, pick, digits]) => median(own.map(pick)).toFixed(digits));
  console.log(`| ${name} | ${cells.join(' | ')} |`);
}
cleanup();
