// What a whole worker makes of a cache that is damaged, out of place or not there: no reader ever
// notices anything but time.

import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { mkdir, mkdtemp, open, readdir, rm, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { cleanup } from "node-datachannel";
import { Connection } from "../../bench/load/client.mjs";
import { sha256, startWorker, until } from "../support/worker.mjs";

const CHUNK_BYTES = 300_000;
const CHUNKS = 8;

after(() => cleanup());

async function withFolder(work) {
    const folder = await mkdtemp(join(tmpdir(), "kollator-cache-"));
    try {
        await work(folder);
    } finally {
        await rm(folder, { recursive: true, force: true });
    }
}

const cacheOf = async (worker) => (await worker.get("/stats")).cache;
const pathOf = (folder, hash) => {
    const name = hash.toString("hex");
    return join(folder, "cache", name.slice(0, 2), name);
};

async function storeSome(worker, connection) {
    const hashes = [];
    for (let n = 0; n < CHUNKS; n++) hashes.push(await connection.store(randomBytes(CHUNK_BYTES)));
    await until("all is cached", async () => (await cacheOf(worker)).chunks === CHUNKS);
    return hashes;
}

async function flip(path, at) {
    const file = await open(path, "r+");
    const byte = Buffer.alloc(1);
    await file.read(byte, 0, 1, at);
    byte[0] ^= 0x10;
    await file.write(byte, 0, 1, at);
    await file.close();
}

test("damaged chunks are never served, and are healed by whoever asks", async () => {
    await withFolder(async (folder) => {
        const worker = await startWorker({ DATA_DIR: folder });
        const connection = await Connection.open(worker.url);
        const hashes = await storeSome(worker, connection);
        for (const [n, hash] of hashes.entries()) {
            if (n % 3 === 0) await flip(pathOf(folder, hash), (n * 40_001) % CHUNK_BYTES);
            if (n % 3 === 1) await truncate(pathOf(folder, hash), n * 10_000);
            if (n % 3 === 2) await rm(pathOf(folder, hash));
        }
        // get() gives what came; the hash is checked here.
        for (const hash of hashes) assert.deepEqual(sha256(await connection.get(hash)), hash);
        assert.equal((await cacheOf(worker)).corruptions, CHUNKS);
        await until("all is cached again", async () => (await cacheOf(worker)).chunks === CHUNKS);
        const { hits } = await cacheOf(worker);
        for (const hash of hashes) await connection.get(hash);
        const healed = await cacheOf(worker);
        assert.equal(healed.hits, hits + CHUNKS);
        assert.equal(healed.corruptions, CHUNKS);
        connection.close();
        assert.equal(await worker.stop(), 0);
    });
});

test("what does not belong in the folder is put aside at the start", async () => {
    await withFolder(async (folder) => {
        await mkdir(join(folder, "cache", "ab"), { recursive: true });
        await writeFile(join(folder, "cache", "ab", "notes.txt"), "mine");
        await writeFile(join(folder, "cache", "ab", `ab${"0".repeat(62)}`), "no chunk's size");
        const worker = await startWorker({ DATA_DIR: folder });
        const { putAside, chunks } = await cacheOf(worker);
        assert.deepEqual([putAside, chunks], [2, 0]);
        assert.equal((await readdir(join(folder, "cache", "aside"))).length, 2);
        assert.equal(await worker.stop(), 0);
    });
});

test("a worker whose cache cannot be used serves from the object store, and says so", async () => {
    await withFolder(async (folder) => {
        const file = join(folder, "a file, no folder");
        await writeFile(file, "");
        const worker = await startWorker({ DATA_DIR: folder, CACHE_PATH: join(file, "cache") });
        const health = await worker.get("/health");
        assert.equal(health.status, "warn");
        assert.match(health.checks.cache.detail, /^bypassed: /);
        assert.equal((await cacheOf(worker)).bypassed, true);
        const connection = await Connection.open(worker.url);
        const hash = await connection.store(randomBytes(CHUNK_BYTES));
        for (let n = 0; n < 3; n++) {
            assert.equal((await connection.get(hash)).length, CHUNK_BYTES);
        }
        assert.equal((await cacheOf(worker)).chunks, 0);
        connection.close();
        assert.equal(await worker.stop(), 0);
    });
});

test("/stats names chunks to admins only, and knows what happened of late", async () => {
    const token = "a token for the tests";
    const worker = await startWorker({ ADMIN_TOKEN: token });
    const connection = await Connection.open(worker.url);
    const hash = await connection.store(randomBytes(1000));
    await until("it is cached", async () => (await cacheOf(worker)).chunks === 1);
    await connection.get(hash);
    const anyone = await cacheOf(worker);
    assert.deepEqual(anyone.mostAccessed, { hash: null, hits: 1 });
    assert.deepEqual(Object.keys(anyone.lastMinutes), ["1", "5", "60"]);
    assert.equal(anyone.lastMinutes["5"].hits, 1);
    assert.equal(anyone.byteHitRate, 1);
    assert.equal(anyone.scrub.damaged, 0);
    const headers = { authorization: `Bearer ${token}` };
    const admin = await (await fetch(`${worker.url}/stats`, { headers })).json();
    assert.equal(admin.cache.mostAccessed.hash, hash.toString("hex"));
    const metrics = await (await fetch(`${worker.url}/metrics`)).text();
    for (const name of ["kollator_cache_chunks 1", "kollator_scrub_checked_total",
        "kollator_prefetch_started_total", "kollator_hint_names_total"]) {
        assert.ok(metrics.includes(name), name);
    }
    connection.close();
    assert.equal(await worker.stop(), 0);
});
