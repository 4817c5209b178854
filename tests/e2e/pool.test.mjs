// A front and two workers, each a process of its own, on one bucket of Ceph's RADOS Gateway.

import assert from "node:assert/strict";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { after, before, test } from "node:test";

import { startRgw } from "../support/rgw.mjs";
import { openConnected, openProfile, PATIENCE_MS, save, share } from "./support/browser.mjs";
import { scratchFolder, sha256Of, writeRandomFile } from "./support/files.mjs";
import { startPool, until } from "./support/kollator.mjs";

const FILE_BYTES = 40_000_000;

let folder;
let rgw;
let pool;

before(async () => {
    folder = await scratchFolder();
    rgw = await startRgw();
    pool = await startPool(2, rgw.environment());
});

after(async () => {
    await pool?.dispose();
    await rgw?.stop();
    await rm(folder, { recursive: true, force: true });
});

async function busyWorker() {
    for (const worker of pool.workers) {
        if ((await worker.stats()).connections.active > 0) return worker;
    }
    return undefined;
}

test("what one worker took, the other serves when the first is gone", async () => {
    const source = await writeRandomFile(join(folder, "pool.bin"), FILE_BYTES, "e2e-pool");
    const sender = await openProfile();
    const receiver = await openProfile();
    try {
        const link = await share(await openConnected(sender, pool.front.url), source);
        const first = await busyWorker();
        assert.ok(first, "the page is connected to a worker");
        await sender.close();
        await first.kill();
        await until(async () => (await pool.size()) === 1, PATIENCE_MS, "leave the pool");

        const saved = await save(await openConnected(receiver, pool.front.url), link);
        assert.equal(await sha256Of(saved.path), await sha256Of(source));
        receiver.assertNoComplaints();
        const [second] = pool.workers.filter((worker) => worker !== first);
        assert.equal((await second.stats()).connections.total, 1);
    } finally {
        await receiver.close();
    }
});
