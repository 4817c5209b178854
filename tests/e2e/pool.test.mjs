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
const LIMIT_MS = 5000;
/** What a browser says by itself of a server that is gone. */
const SERVER_GONE = /ERR_CONNECTION|ERR_EMPTY_RESPONSE|WebSocket connection/;

let folder;
let rgw;
let pool;
let source;
let link;

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
    source = await writeRandomFile(join(folder, "pool.bin"), FILE_BYTES, "e2e-pool");
    const sender = await openProfile();
    const receiver = await openProfile();
    try {
        link = await share(await openConnected(sender, pool.front.url), source);
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
        await first.start();
        await until(async () => (await pool.size()) === 2, PATIENCE_MS, "be in the pool again");
    } finally {
        await receiver.close();
    }
});

/** Notes when the bar of a download grows. */
async function watchProgress(page) {
    await page.evaluate(() => {
        const bar = document.querySelector("#receive-view .bar");
        let last = 0;
        window.grownAt = [];
        new MutationObserver(() => {
            const now = Number(bar.getAttribute("aria-valuenow"));
            if (now > last) window.grownAt.push(performance.now());
            last = now;
        }).observe(bar, { attributes: true, attributeFilter: ["aria-valuenow"] });
    });
}

test("a download goes on at the other worker within 5 s when its own is killed", async () => {
    const receiver = await openProfile();
    try {
        const totals = () => Promise.all(
            pool.workers.map(async (worker) => (await worker.stats()).connections.total));
        const before = await totals();
        const page = await openConnected(receiver, link);
        await page.waitForSelector("#receive-view[data-state=ready]");
        const now = await totals();
        const used = pool.workers.find((_, i) => now[i] > before[i]);
        await watchProgress(page);
        const downloading = page.waitForEvent("download");
        await page.click("#receive-view [data-save]");
        await page.waitForFunction(() => window.grownAt.length > 0, undefined, { polling: 10 });
        await used.kill();
        const download = await downloading;
        assert.equal(await sha256Of(await download.path()), await sha256Of(source));
        const grownAt = await page.evaluate(() => window.grownAt);
        const pauseMs = Math.max(...grownAt.slice(1).map((at, i) => at - grownAt[i]));
        console.log(`the download stood still for ${pauseMs.toFixed(0)} ms`);
        assert.ok(pauseMs > 1000, `${pauseMs} ms: it was not in the middle`);
        assert.ok(pauseMs < LIMIT_MS, `${pauseMs} ms without progress`);
        receiver.assertNoComplaints(SERVER_GONE);
    } finally {
        await receiver.close();
    }
});
