// The throughput of the whole: `kollator put` and `kollator get` of one file through a worker with
// S3 on a Ceph gateway, beside the reference worker with the AWS SDK, in one run, in turns. Prints
// a Markdown table of medians.
//
//   node bench/transfer_bench.mjs [--rounds 1] [--megabytes 1000]
//
// The file's bytes do not compress. "get" comes after the worker was started anew on an empty
// cache, so that every chunk is fetched from S3; "again" is the same once more, as much of it from
// the cache as CACHE_SIZE_MB (300) holds. KOLLATOR_BIN names the executable.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, stat } from 'node:fs/promises';
import { cpus, loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { sha256Of, writeRandomFile } from '../tests/e2e/support/files.mjs';
import { startRgw } from '../tests/support/rgw.mjs';
import { cpuSeconds, residentBytes, startWorker } from './load/worker.mjs';

const { values: options } = parseArgs({
  options: {
    rounds: { type: 'string', default: '1' },
    megabytes: { type: 'string', default: '1000' },
  },
});
const bytes = Number(options.megabytes) * 1e6;
const binary = process.env.KOLLATOR_BIN ?? 'build/release/src/app/kollator';
const names = ['reference', 'kollator'];

const median = (values) => values.sort((a, b) => a - b)[values.length >> 1];

/** Runs one command of the client; its line of JSON, the time, and what it cost the worker. */
async function client(worker, args) {
  const before = await cpuSeconds(worker.pid);
  const begin = performance.now();
  const child = spawn(binary, [...args, '--json', '--worker', worker.url], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let out = '';
  child.stdout.on('data', (data) => (out += data));
  let peakBytes = 0;
  const watch = setInterval(
    () => residentBytes(child.pid).then((now) => (peakBytes = Math.max(peakBytes, now)), () => {}),
    100,
  );
  const [code] = await once(child, 'close');
  clearInterval(watch);
  if (code !== 0) throw new Error(`kollator ${args[0]} ended with ${code}`);
  const seconds = (performance.now() - begin) / 1000;
  const cpu = (await cpuSeconds(worker.pid)) - before;
  return {
    ...JSON.parse(out),
    megabytesPerSecond: bytes / 1e6 / seconds,
    workerCpuPerGigabyte: cpu / (bytes / 1e9),
    clientMegabytes: peakBytes / 1e6,
  };
}

async function measure(name, source, folder) {
  const rgw = await startRgw();
  let worker = await startWorker(name, rgw.environment());
  try {
    const result = { name };
    result.put = await client(worker, ['put', source]);
    const output = join(folder, 'got');
    const fetch = async () => {
      const got = await client(worker, ['get', result.put.hash, '-o', output]);
      if ((await stat(output)).size !== bytes) throw new Error('not all of it came');
      return got;
    };
    await worker.stop();
    worker = await startWorker(name, rgw.environment());
    result.get = await fetch();
    if ((await sha256Of(output)) !== (await sha256Of(source))) throw new Error('wrong bytes');
    await rm(output);
    result.again = await fetch();
    await rm(output);
    result.workerMegabytes = (await residentBytes(worker.pid)) / 1e6;
    return result;
  } finally {
    await worker.stop();
    await rgw.stop();
  }
}

const folder = await mkdtemp(join(tmpdir(), 'kollator-transfer-'));
const source = await writeRandomFile(join(folder, 'source'), bytes, 'transfer-bench');
const rounds = [];
for (let round = 0; round < Number(options.rounds); round++) {
  for (const name of names) {
    rounds.push(await measure(name, source, folder));
    console.error(`round ${round + 1}: ${name} measured, load average ${loadavg()[0].toFixed(0)}`);
  }
}
await rm(folder, { recursive: true });

const columns = [
  ['put MB/s', (r) => r.put.megabytesPerSecond, 0],
  ['worker CPU s/GB', (r) => r.put.workerCpuPerGigabyte, 2],
  ['get MB/s', (r) => r.get.megabytesPerSecond, 0],
  ['worker CPU s/GB', (r) => r.get.workerCpuPerGigabyte, 2],
  ['again MB/s', (r) => r.again.megabytesPerSecond, 0],
  ['worker MB', (r) => r.workerMegabytes, 0],
  ['client MB, put', (r) => r.put.clientMegabytes, 0],
  ['client MB, get', (r) => r.get.clientMegabytes, 0],
];
console.log(`${cpus().length} × ${cpus()[0].model}; Node ${process.version}; medians of ${options.rounds} rounds\n`);
console.log(`| worker | ${columns.map(([title]) => title).join(' | ')} |`);
console.log(`| --- |${columns.map(() => ' --- |').join('')}`);
for (const name of names) {
  const own = rounds.filter((result) => result.name === name);
  const cells = columns.map(([, pick, digits]) => median(own.map(pick)).toFixed(digits));
  console.log(`| ${name} | ${cells.join(' | ')} |`);
}
