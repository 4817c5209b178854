// The worker's S3 store beside the AWS SDK for JavaScript, on one Ceph gateway, round by round in
// turns; and what a worker adds to a chunk that is not in its cache. Prints Markdown tables of
// medians.
//
//   node bench/store_bench.mjs [--rounds 3] [--megabytes 500] [--misses 200] [--only rate|misses]
//
// KOLLATOR_BIN and KOLLATOR_STORE_BENCH name the executables (default: the release build's).

import { createHash, randomBytes } from 'node:crypto';
import { spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { Agent, request } from 'node:http';
import { createInterface } from 'node:readline';
import { cpus, loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { cleanup } from 'node-datachannel';
import { startRgw } from '../tests/support/rgw.mjs';
import { s3, signedHeaders } from '../tests/support/sigv4.mjs';
import { Connection } from './load/client.mjs';

const MISS_SIZES = [64 * 1024, 5 * 1024 * 1024];

const { values: options } = parseArgs({
  options: {
    rounds: { type: 'string', default: '3' },
    megabytes: { type: 'string', default: '500' },
    misses: { type: 'string', default: '200' },
    only: { type: 'string' },
  },
});
const binary = process.env.KOLLATOR_BIN ?? 'build/release/src/app/kollator';
const storeBench = process.env.KOLLATOR_STORE_BENCH ?? 'build/release/bench/store_bench';

function percentile(values, share) {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))];
}

/** The lines of JSON that a program prints. */
async function measurements(command, args, rgw) {
  const child = spawn(command, args, {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, ...rgw.environment() },
  });
  const exited = new Promise((resolve) => child.once('exit', resolve));
  const found = [];
  for await (const line of createInterface({ input: child.stdout })) found.push(JSON.parse(line));
  const code = await exited;
  if (code !== 0) throw new Error(`${command} ended with ${code}`);
  return found;
}

async function throughput(rgw) {
  const sdk = new URL('store/sdk.mjs', import.meta.url).pathname;
  const contenders = {
    'AWS SDK': () => measurements(process.execPath, [sdk, options.megabytes], rgw),
    kollator: () => measurements(storeBench, [options.megabytes], rgw),
  };
  const all = { 'AWS SDK': [], kollator: [] };
  for (let round = 1; round <= Number(options.rounds); round++) {
    for (const [name, run] of Object.entries(contenders)) {
      all[name].push(...(await run()));
      console.error(`round ${round}: ${name} measured`);
    }
  }
  console.log(
    '| 5 MiB objects | in flight | AWS SDK MB/s | kollator MB/s | ratio ' +
      '| AWS SDK CPU s/GB | kollator CPU s/GB | ratio |',
  );
  console.log('| --- | --- | --- | --- | --- | --- | --- | --- |');
  for (const what of ['GET', 'PUT']) {
    for (const inFlight of [1, 8, 32]) {
      const median = (name, field) =>
        percentile(
          all[name].filter((one) => one.what === what && one.inFlight === inFlight).map((one) => one[field]),
          0.5,
        );
      const rate = Object.keys(all).map((name) => median(name, 'megabytesPerSecond'));
      const cpu = Object.keys(all).map((name) => median(name, 'cpuPerGigabyte'));
      console.log(
        `| ${what} | ${inFlight} | ${rate[0].toFixed(0)} | ${rate[1].toFixed(0)} | ${(rate[1] / rate[0]).toFixed(1)} ` +
          `| ${cpu[0].toFixed(2)} | ${cpu[1].toFixed(2)} | ${(cpu[1] / cpu[0]).toFixed(2)} |`,
      );
    }
  }
}

async function startWorker(rgw) {
  const folder = await mkdtemp(join(tmpdir(), 'bench-miss-'));
  const child = spawn(binary, ['worker'], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: {
      PATH: process.env.PATH,
      DATA_DIR: folder,
      HOST: '127.0.0.1',
      PORT: '0',
      CACHE_SIZE_MB: '4000',
      LOG_LEVEL: 'warn',
      ...rgw.environment(),
    },
  });
  const exited = new Promise((resolve) => child.once('exit', resolve));
  const lines = createInterface({ input: child.stdout });
  const port = await new Promise((resolve, reject) => {
    lines.on('line', (line) => {
      const found = /http:\/\/[^ ]*?:(\d+)/.exec(line)?.[1];
      if (found) resolve(found);
    });
    child.once('exit', (code) => reject(new Error(`the worker ended with ${code}`)));
  });
  return {
    url: `http://127.0.0.1:${port}`,
    async stop() {
      child.kill('SIGTERM');
      await exited;
      await rm(folder, { recursive: true, force: true });
    },
  };
}

const agent = new Agent({ keepAlive: true, maxSockets: 1 });

/** Milliseconds until the store's first byte of a body is here, on a kept connection. */
function firstByteOfStore(rgw, key) {
  const url = new URL(`/${rgw.bucket}/${key}`, rgw.endpoint);
  const payloadHash = createHash('sha256').digest('hex');
  const headers = signedHeaders({ ...rgw, method: 'GET', url, payloadHash });
  return new Promise((resolve, reject) => {
    const begin = performance.now();
    const sent = request(url, { headers, agent }, (response) => {
      let first;
      response.on('data', () => (first ??= performance.now() - begin));
      response.on('end', () => resolve(first));
      response.on('error', reject);
    });
    sent.on('error', reject);
    sent.end();
  });
}

async function missLatency(rgw) {
  const worker = await startWorker(rgw);
  try {
    const connection = await Connection.open(worker.url);
    console.log('\n| a miss, one at a time | store p50 ms | through the worker p50 ms | added p50 ms | added p90 ms |');
    console.log('| --- | --- | --- | --- | --- |');
    for (const size of MISS_SIZES) {
      const direct = [];
      const through = [];
      const added = [];
      for (let i = 0; i < Number(options.misses) + 10; i++) {
        const body = randomBytes(size);
        const hash = createHash('sha256').update(body).digest();
        const key = `chunks/${hash.toString('hex')}`;
        const stored = await s3(rgw, { method: 'PUT', key, body });
        if (stored.status !== 200) throw new Error(`PUT: ${stored.status}`);
        const own = await firstByteOfStore(rgw, key);
        const { firstByteMs } = await connection.timed(hash);
        if (i < 10) continue; // connections, caches and compilers warm up
        direct.push(own);
        through.push(firstByteMs);
        added.push(firstByteMs - own);
      }
      console.log(
        `| ${size / 1024} KiB, first byte | ${percentile(direct, 0.5).toFixed(2)} ` +
          `| ${percentile(through, 0.5).toFixed(2)} | ${percentile(added, 0.5).toFixed(2)} ` +
          `| ${percentile(added, 0.9).toFixed(2)} |`,
      );
    }
    connection.close();
  } finally {
    await worker.stop();
  }
}

const rgw = await startRgw();
try {
  const load = loadavg()[0].toFixed(1);
  console.log(
    `${cpus().length} × ${cpus()[0].model}; Node ${process.version}; medians of ${options.rounds} rounds; ` +
      `load before: ${load}\n`,
  );
  if (options.only !== 'misses') await throughput(rgw);
  if (options.only !== 'rate') await missLatency(rgw);
} finally {
  agent.destroy();
  await rgw.stop();
  cleanup();
}
