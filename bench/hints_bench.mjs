// Many SDK clients that download whole files through one worker with a cache of 60 chunks: what it
// serves from the cache when clients go in file order, and when they take what it has first.
//
//   node bench/hints_bench.mjs [--clients 40] [--files 30] [--downloads 200]
//
// Chunks are of 64 KiB and the cache is as much smaller; files have 5 to 60 chunks, and are chosen
// by Zipf 0.8. KOLLATOR_BIN names the executable (default build/release/src/app/kollator).

import { parseArgs } from 'node:util';
import { cleanup } from 'node-datachannel';
import { RTCPeerConnection } from 'node-datachannel/polyfill';
import { startDelayProxy } from '../tests/support/delay_proxy.mjs';
import { startRgw } from '../tests/support/rgw.mjs';
import { loadSdk } from '../tests/support/sdk.mjs';
import { storeFile } from '../tests/support/shared_file.mjs';
import { startWorker } from '../tests/support/worker.mjs';
import { Connection } from './load/client.mjs';

process.env.KOLLATOR_BIN ??= 'build/release/src/app/kollator';

const CHUNK_BYTES = 64 << 10;
const CACHE_MB = 4; // 60 chunks and their checksums
const CHUNK_MS = 40; // what a client does with a chunk before it asks for another

const { values } = parseArgs({
  options: {
    clients: { type: 'string', default: '40' },
    files: { type: 'string', default: '30' },
    downloads: { type: 'string', default: '200' },
  },
});
const clientsCount = Number(values.clients);

function seededRandom(seed) {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

function zipfPicker(count, random) {
  const sums = [];
  let sum = 0;
  for (let rank = 1; rank <= count; rank++) sums.push((sum += rank ** -0.8));
  return () => sums.findIndex((upTo) => upTo >= random() * sum);
}

async function measure(sdk, environment, files, order) {
  const worker = await startWorker({
    ...environment,
    CACHE_SIZE_MB: String(CACHE_MB),
    MAX_CHUNK_BYTES: String(CHUNK_BYTES),
    PREFETCH_DEPTH: '0',
  });
  const platform = {
    fetch,
    openWebSocket: (url) => new WebSocket(url),
    openPeerConnection: (configuration) => new RTCPeerConnection(configuration),
  };
  const random = seededRandom(7);
  const pick = zipfPicker(files.length, random);
  let left = Number(values.downloads);
  const run = async () => {
    while (left-- > 0) {
      const client = new sdk.KollatorClient({ workerUrl: worker.url, platform });
      const shared = await sdk.openShare(client, files[Math.max(0, pick())].infoHash);
      const slow = () => new Promise((go) => setTimeout(go, CHUNK_MS));
      await sdk.download(client, shared, { write: slow, writeAt: slow }, { order });
      client.close();
    }
  };
  await Promise.all(Array.from({ length: clientsCount }, run));
  const { cache, storage } = await worker.get('/stats');
  await worker.stop();
  const requests = cache.hits + cache.misses;
  return { hitRate: cache.hitRate, requests, gets: storage.operations.get.ok, hints: cache.hints };
}

const rgw = await startRgw();
const proxy = await startDelayProxy(rgw.endpoint, 20);
try {
  const sdk = await loadSdk();
  const writer = await startWorker({ ...rgw.environment(), MAX_CHUNK_BYTES: String(CHUNK_BYTES) });
  const connection = await Connection.open(writer.url);
  const random = seededRandom(1);
  const files = [];
  for (let n = 0; n < Number(values.files); n++) {
    const count = 5 + Math.floor(random() * 55);
    files.push(await storeFile(connection, { seed: `hints/${n}`, count, chunkBytes: CHUNK_BYTES }));
  }
  connection.close();
  await writer.stop();
  const environment = { ...rgw.environment(), S3_ENDPOINT: proxy.url };
  console.log('| order | requests | cache hits % | GETs of the store | hinted requests that hit % |');
  console.log('| --- | --- | --- | --- | --- |');
  for (const order of ['in-order', 'hot-first']) {
    const { hitRate, requests, gets, hints } = await measure(sdk, environment, files, order);
    const followed = hints.requests > 0 ? ((100 * hints.hits) / hints.requests).toFixed(1) : '–';
    console.log(`| ${order} | ${requests} | ${(100 * hitRate).toFixed(1)} | ${gets} | ${followed} |`);
  }
} finally {
  await proxy.stop();
  await rgw.stop();
  cleanup();
}
