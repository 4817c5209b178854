// A worker that dies or falls silent in the middle of a transfer: the command line goes on at
// another worker of the front within 5 s. Real processes, on one bucket of Ceph's gateway.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { scratchFolder, sha256Of, writeRandomFile } from "../e2e/support/files.mjs";
import { startPool } from "../e2e/support/kollator.mjs";
import { kollator } from "../support/cli.mjs";
import { startRgw } from "../support/rgw.mjs";
import { until } from "../support/worker.mjs";

const CHUNK_BYTES = 1024 * 1024;
const CHUNKS = 30;
const LIMIT_MS = 5000;

let folder;
let file;
let rgw;
let pool;

before(async () => {
    folder = await scratchFolder();
    file = await writeRandomFile(join(folder, "file.bin"), CHUNKS * CHUNK_BYTES, "failover-1");
    rgw = await startRgw();
    pool = await startPool(2, {
        ...rgw.environment(), HOST: "127.0.0.1", MAX_CHUNK_BYTES: String(CHUNK_BYTES),
    });
});

after(async () => {
    await pool?.dispose();
    await rgw?.stop();
    await rm(folder, { recursive: true, force: true });
});

/** The worker that the command speaks to. */
const usedWorker = () => until("a worker has a client", async () => {
    for (const worker of pool.workers) {
        if ((await worker.stats()).connections.active > 0) return worker;
    }
});

test("get goes on at another worker when its own is killed", async () => {
    const put = await kollator(["put", file, "--front", pool.front.url]);
    assert.equal(put.code, 0, put.stderr);
    const child = spawn(process.env.KOLLATOR_BIN, ["get", put.lines[0], "-o", "-"], {
        stdio: ["ignore", "pipe", "pipe"], env: { PATH: process.env.PATH },
    });
    let stderr = "";
    child.stderr.on("data", (bytes) => (stderr += bytes));
    const exited = once(child, "exit");
    const hash = createHash("sha256");
    let received = 0;
    let killed;
    let lastMs;
    let pauseMs = 0;
    for await (const bytes of child.stdout) {
        const now = performance.now();
        if (killed) pauseMs = Math.max(pauseMs, now - lastMs);
        lastMs = now;
        hash.update(bytes);
        received += bytes.length;
        if (!killed && received >= 3 * CHUNK_BYTES) {
            killed = await usedWorker();
            await killed.kill();
            lastMs = performance.now();
        }
    }
    assert.deepEqual(await exited, [0, null], stderr);
    assert.match(stderr, /no sign of life/);
    assert.equal(hash.digest("hex"), await sha256Of(file));
    console.log(`nothing came for ${pauseMs.toFixed(0)} ms`);
    assert.ok(pauseMs > 1000, `${pauseMs} ms: it was not in the middle`);
    assert.ok(pauseMs < LIMIT_MS, `${pauseMs} ms without a byte`);
    await killed.start();
    await until("both are in the pool", async () => await pool.size() === 2);
});

test("put goes on at another worker when its own falls silent", async () => {
    const big = await writeRandomFile(join(folder, "big.bin"), 2 * CHUNKS * CHUNK_BYTES, "failover-2");
    let silent;
    let pauseMs;
    const put = await kollator(["put", big, "--front", pool.front.url], {}, async () => {
        const used = await usedWorker();
        const [other] = pool.workers.filter((worker) => worker !== used);
        const stored = async (worker) => (await worker.stats()).storage.uploadedChunks;
        const [mine, theirs] = [await stored(used), await stored(other)];
        await until("some of it is stored", async () => await stored(used) >= mine + 3);
        used.signal("SIGSTOP");
        silent = used;
        const begun = performance.now();
        await until("the other worker stores", async () => await stored(other) > theirs);
        pauseMs = performance.now() - begun;
    });
    silent.signal("SIGCONT");
    assert.equal(put.code, 0, put.stderr);
    assert.match(put.stderr, /no sign of life/);
    console.log(`the other worker stored after ${pauseMs.toFixed(0)} ms`);
    assert.ok(pauseMs < LIMIT_MS, `${pauseMs} ms`);
});
