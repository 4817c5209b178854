// One reader that goes through a file in order, through a worker whose object store is so many
// milliseconds away: with and without prefetch, in turns. Prints a Markdown table.
//
//   node bench/prefetch_bench.mjs [--delay 50] [--rounds 3]
//
// KOLLATOR_BIN names the executable (default build/release/src/app/kollator).

import { parseArgs } from 'node:util';
import { cleanup } from 'node-datachannel';
import { startDelayProxy } from '../tests/support/delay_proxy.mjs';
import { startRgw } from '../tests/support/rgw.mjs';
import { askForMetadata, readInOrder, storeFile } from '../tests/support/shared_file.mjs';
import { startWorker, until } from '../tests/support/worker.mjs';
import { Connection } from './load/client.mjs';

process.env.KOLLATOR_BIN ??= 'build/release/src/app/kollator';

const FILES = [
  { chunkBytes: 5 << 20, count: 20 },
  { chunkBytes: 256 << 10, count: 120 },
  { chunkBytes: 64 << 10, count: 200 },
];

const { values: options } = parseArgs({
  options: { delay: { type: 'string', default: '50' }, rounds: { type: 'string', default: '3' } },
});

const median = (values) => [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)];

async function measure(environment, file, inFlight, depth) {
  const worker = await startWorker({ ...environment, PREFETCH_DEPTH: String(depth) });
  const connection = await Connection.open(worker.url);
  await askForMetadata(connection, file.infoHash);
  await until('the file is known', async () =>
    (await worker.get('/stats')).cache.foreseeableChunks === file.hashes.length);
  const ms = await readInOrder(connection, file.hashes, inFlight);
  const { useful, wasted } = (await worker.get('/stats')).cache.prefetch;
  connection.close();
  await worker.stop();
  return { rate: (file.hashes.length * file.chunkBytes) / 1e3 / ms, useful, wasted };
}

const rgw = await startRgw();
const proxy = await startDelayProxy(rgw.endpoint, Number(options.delay));
try {
  const writer = await startWorker({ ...rgw.environment(), CACHE_SIZE_MB: '1000' });
  const connection = await Connection.open(writer.url);
  const environment = { ...rgw.environment(), S3_ENDPOINT: proxy.url };
  console.log('| chunks | in flight | without MB/s | with prefetch MB/s | ratio | useful | wasted |');
  console.log('| --- | --- | --- | --- | --- | --- | --- |');
  for (const { chunkBytes, count } of FILES) {
    const stored = await storeFile(connection, { seed: chunkBytes, count, chunkBytes });
    const file = { ...stored, chunkBytes };
    for (const inFlight of [1, 4]) {
      const without = [];
      const withIt = [];
      for (let round = 0; round < Number(options.rounds); round++) {
        without.push(await measure(environment, file, inFlight, 0));
        withIt.push(await measure(environment, file, inFlight, 8));
      }
      const rates = [without, withIt].map((all) => median(all.map((one) => one.rate)));
      console.log(
        `| ${count} of ${chunkBytes >> 10} KiB | ${inFlight} | ${rates[0].toFixed(1)} | ` +
          `${rates[1].toFixed(1)} | ${(rates[1] / rates[0]).toFixed(2)} | ` +
          `${median(withIt.map((one) => one.useful))} | ${median(withIt.map((one) => one.wasted))} |`,
      );
    }
  }
  connection.close();
  await writer.stop();
} finally {
  await proxy.stop();
  await rgw.stop();
  cleanup();
}
