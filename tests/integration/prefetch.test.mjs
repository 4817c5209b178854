// A whole worker on a store that is 50 ms away (Ceph's gateway behind a proxy): what a reader asks
// for in order is there before it asks.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { cleanup } from "node-datachannel";
import { Connection } from "../../bench/load/client.mjs";
import { startDelayProxy } from "../support/delay_proxy.mjs";
import { startRgw } from "../support/rgw.mjs";
import { askForMetadata, readInOrder, storeFile } from "../support/shared_file.mjs";
import { startWorker, until } from "../support/worker.mjs";

const DELAY_MS = 50;
const COUNT = 30;
const CHUNK_BYTES = 100_000;

let rgw;
let proxy;
const files = [];

before(async () => {
    rgw = await startRgw();
    proxy = await startDelayProxy(rgw.endpoint, DELAY_MS);
    const worker = await startWorker(rgw.environment());
    const connection = await Connection.open(worker.url);
    for (const seed of ["whole", "pipelined", "left"]) {
        files.push(await storeFile(connection, { seed, count: COUNT, chunkBytes: CHUNK_BYTES }));
    }
    connection.close();
    await worker.stop();
});

after(async () => {
    await proxy?.stop();
    await rgw?.stop();
    cleanup();
});

const farWorker = (settings = {}) =>
    startWorker({ ...rgw.environment(), S3_ENDPOINT: proxy.url, ...settings });

const prefetchOf = async (worker) => (await worker.get("/stats")).cache.prefetch;

async function openFile(worker, { infoHash }) {
    const connection = await Connection.open(worker.url);
    await askForMetadata(connection, infoHash);
    await until("the file is known", async () =>
        (await worker.get("/stats")).cache.foreseeableChunks === COUNT);
    return connection;
}

for (const [file, inFlight] of [[0, 1], [1, 4]]) {
    test(`nearly all of a file is fetched ahead of a reader with ${inFlight} in flight`, async () => {
        const worker = await farWorker();
        const connection = await openFile(worker, files[file]);
        await readInOrder(connection, files[file].hashes, inFlight);
        const { started, useful, wasted } = await prefetchOf(worker);
        assert.ok(useful >= COUNT - 10, `${useful} of ${COUNT} were useful`);
        assert.equal(wasted, 0);
        assert.equal(started, useful);
        const { operations } = (await worker.get("/stats")).storage;
        assert.equal(operations.get.ok, COUNT + 1, "each chunk was fetched once, and the metadata");
        connection.close();
        assert.equal(await worker.stop(), 0);
    });
}

test("what was fetched for a reader that leaves is let go", async () => {
    const worker = await farWorker();
    const connection = await openFile(worker, files[2]);
    await readInOrder(connection, files[2].hashes.slice(0, 5), 1);
    connection.close();
    await until("nothing is held", async () => (await prefetchOf(worker)).held === 0);
    const { started, useful, wasted } = await prefetchOf(worker);
    assert.ok(wasted > 0, "it had looked ahead");
    assert.equal(started, useful + wasted);
    assert.equal(await worker.stop(), 0);
});

test("PREFETCH_DEPTH=0 turns it off", async () => {
    const worker = await farWorker({ PREFETCH_DEPTH: "0" });
    const connection = await openFile(worker, files[0]);
    await readInOrder(connection, files[0].hashes.slice(0, 5), 1);
    assert.equal((await prefetchOf(worker)).started, 0);
    connection.close();
    assert.equal(await worker.stop(), 0);
});
