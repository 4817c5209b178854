// Idle connections: `kollator worker` (or the reference worker) with many peers that ask for nothing.
// Memory each, CPU of the idle process, and how many are set up a second. Prints a Markdown table.
//
//   node bench/idle_bench.mjs [--connections 1000] [--seconds 20] [--reference]
//
// KOLLATOR_BIN names the executable (default build/release/src/app/kollator). The client is one
// process of node-datachannel, whose own work bounds the rate: the worker's CPU for a setup stands
// beside it.

import { parseArgs } from 'node:util';
import { cleanup } from 'node-datachannel';
import { Connection } from './load/client.mjs';
import { cpuSeconds, residentBytes, startWorker } from './load/worker.mjs';

const AT_ONCE = 16;

const { values: options } = parseArgs({
  options: {
    connections: { type: 'string', default: '1000' },
    seconds: { type: 'string', default: '20' },
    reference: { type: 'boolean', default: false },
  },
});
const count = Number(options.connections);
const seconds = Number(options.seconds);

async function measure(name) {
  const worker = await startWorker(name);
  try {
    const connections = [await Connection.open(worker.url)];
    const memory = await residentBytes(worker.pid);
    const cpu = await cpuSeconds(worker.pid);
    const begin = performance.now();
    const lane = async () => {
      while (connections.length + lanes <= count) connections.push(await Connection.open(worker.url));
      lanes--;
    };
    let lanes = AT_ONCE;
    await Promise.all(Array.from({ length: AT_ONCE }, lane));
    while (connections.length <= count) connections.push(await Connection.open(worker.url));
    const setup = (performance.now() - begin) / 1000;
    const setupCpu = (await cpuSeconds(worker.pid)) - cpu;
    const idleBegin = await cpuSeconds(worker.pid);
    await new Promise((resolve) => setTimeout(resolve, seconds * 1000));
    const idleCpu = (await cpuSeconds(worker.pid)) - idleBegin;
    const each = ((await residentBytes(worker.pid)) - memory) / 1024 / count;
    for (const connection of connections) connection.close();
    return [
      name,
      count,
      (count / setup).toFixed(0),
      ((setupCpu / count) * 1000).toFixed(2),
      each.toFixed(0),
      ((idleCpu / seconds) * 100).toFixed(1),
    ];
  } finally {
    await worker.stop();
  }
}

console.log('| worker | connections | set up a second | worker CPU ms a setup | kB each | idle CPU % of a core |');
console.log('| --- | --- | --- | --- | --- | --- |');
for (const name of options.reference ? ['reference', 'kollator'] : ['kollator']) {
  console.log(`| ${(await measure(name)).join(' | ')} |`);
}
cleanup();
