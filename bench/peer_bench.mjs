// `kollator worker` beside the reference worker with a client that is faster than both: our own
// transport at the other end (peer_load). Round by round, one after the other, medians at the end.
// Prints Markdown tables.
//
//   node bench/peer_bench.mjs [--rounds 3] [--requests 400] [--idle 1000] [--seconds 60]
//                             [--only kollator|reference] [--shards 1,2] [--build build/release]
//
// `--shards`: Kollator's RTC_SHARDS, each of them measured.
// Needs a build with -DKOLLATOR_BENCH=ON (targets peer_load and kollator).

import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { parseArgs, promisify } from 'node:util';
import { median } from './load/statistics.mjs';
import { startWorker } from './load/worker.mjs';

const { values: options } = parseArgs({
  options: {
    rounds: { type: 'string', default: '3' },
    requests: { type: 'string', default: '400' },
    idle: { type: 'string', default: '1000' },
    seconds: { type: 'string', default: '60' },
    only: { type: 'string' },
    shards: { type: 'string', default: '1' },
    build: { type: 'string', default: 'build/release' },
  },
});
const SMALL = ['--size', '16384', '--chunks', '500'];
const LOADS = [
  ['5 MiB, 1 connection', ['--requests', options.requests]],
  ['5 MiB, 10 connections', ['--connections', '10', '--requests', options.requests]],
  ['5 MiB, 50 connections', ['--connections', '50', '--requests', options.requests]],
  ['16 KiB, 1 connection, 16 at once', [...SMALL, '--requests', '10000', '--in-flight', '16']],
  ['16 KiB, 10 connections, 16 at once', [...SMALL, '--connections', '10', '--requests', '20000', '--in-flight', '16']],
];

/** One run of the client against a fresh worker; undefined where it failed. */
async function run(name, parameters, settings = {}) {
  const [kind, shards] = name.split(', RTC_SHARDS=');
  const worker = await startWorker(kind, { ...settings, RTC_SHARDS: shards ?? '1' });
  try {
    const client = join(options.build, 'bench/peer_load');
    const about = ['--url', worker.url, '--pid', String(worker.pid)];
    const { stdout } = await promisify(execFile)(client, [...about, ...parameters]);
    return JSON.parse(stdout);
  } catch (error) {
    console.error(`${name} ${parameters.join(' ')}: ${error.stderr || error.message}`);
    return undefined;
  } finally {
    await worker.stop();
  }
}

async function medians(parameters) {
  const results = Object.fromEntries(names.map((name) => [name, []]));
  for (let round = 0; round < Number(options.rounds); round++) {
    for (const name of names) results[name].push(await run(name, parameters));
  }
  return names.map((name) => {
    const done = results[name].filter((one) => one);
    if (done.length === 0) return [name, undefined];
    const fields = Object.keys(done[0]);
    return [name, Object.fromEntries(fields.map((field) => [field, median(done.map((one) => one[field]))]))];
  });
}

function row(cells) {
  console.log(`| ${cells.join(' | ')} |`);
}

const kollators = options.shards
  .split(',')
  .map((shards) => (shards === '1' ? 'kollator' : `kollator, RTC_SHARDS=${shards}`));
const names = { reference: ['reference'], kollator: kollators }[options.only] ?? ['reference', ...kollators];
row(['load', 'worker', 'MB/s', 'chunks/s', 'p50 ms', 'p99 ms', 'worker CPU s/GB', 'client CPU s/GB']);
row(Array(8).fill('---'));
for (const [title, parameters] of LOADS) {
  for (const [name, found] of await medians(parameters)) {
    if (!found) row([title, name, 'failed', '', '', '', '', '']);
    else {
      row([title, name, found.megabytes_per_second, found.per_second, found.p50_ms, found.p99_ms,
        found.worker_s_per_gb, found.client_s_per_gb]);
    }
  }
}
if (options.idle) {
  console.log();
  row(['idle connections', 'worker', 'connected', 'held', 'set up a second', 'worker CPU ms each',
    'client CPU ms each', 'kB each', 'idle CPU % of a core']);
  row(Array(9).fill('---'));
}
for (const count of options.idle.split(',').filter(Boolean)) {
  for (const name of names) {
    const found = await run(name, ['--connections', count, '--idle-seconds', options.seconds], {
      MAX_CONNECTIONS: count,
    });
    if (!found) row([count, name, 'failed', '', '', '', '', '', '']);
    else {
      row([count, name, found.connected, found.held, found.setups_per_second, found.setup_worker_ms,
        found.setup_client_ms, found.kilobytes_each, found.idle_cpu_percent]);
    }
  }
}
