// A file from one browser to another through `kollator dev`, byte for byte; again after a restart
// with an empty cache; and how much memory and time that takes.

import assert from "node:assert/strict";
import { rm } from "node:fs/promises";
import { basename, join } from "node:path";
import { after, before, test } from "node:test";

import { openConnected, openProfile, save, share, watchMemory } from "./support/browser.mjs";
import { scratchFolder, sha256Of, writeRandomFile } from "./support/files.mjs";
import { startKollator } from "./support/kollator.mjs";

const FILE_BYTES = 200_000_000;
/** A few chunks of 5 MiB, the browser's own buffers, and garbage not yet collected. */
const MEMORY_BOUND_BYTES = 150_000_000;
const HEAP_BOUND_BYTES = 60_000_000;

let folder;
let kollator;
let source;
let sourceHash;
let link;

before(async () => {
    folder = await scratchFolder();
    source = await writeRandomFile(join(folder, "two hundred MB – größer.bin"), FILE_BYTES, "e2e-1");
    sourceHash = await sha256Of(source);
    kollator = await startKollator();
});

after(async () => {
    await kollator?.dispose();
    await rm(folder, { recursive: true, force: true });
});

/** Runs `task` with a page of a fresh profile; checks its memory and that it complained of nothing. */
async function inFreshProfile(context, what, task) {
    const profile = await openProfile();
    try {
        const page = await openConnected(profile, kollator.url);
        const memory = await watchMemory(profile, page);
        const begun = performance.now();
        const result = await task(page);
        const seconds = (performance.now() - begun) / 1000;
        const { before: start, peak } = await memory.stop();
        const grown = peak.rendererBytes - start.rendererBytes;
        context.diagnostic(
            `${what}: ${(FILE_BYTES / 1e6 / seconds).toFixed(1)} MB/s in ${seconds.toFixed(1)} s, ` +
                `JS heap at most ${(peak.heapBytes / 1e6).toFixed(1)} MB, ` +
                `renderer ${(start.rendererBytes / 1e6).toFixed(0)} + ${(grown / 1e6).toFixed(0)} MB`,
        );
        assert.ok(grown < MEMORY_BOUND_BYTES, `the renderer grew by ${grown} bytes`);
        assert.ok(peak.heapBytes < HEAP_BOUND_BYTES, `the heap grew to ${peak.heapBytes} bytes`);
        profile.assertNoComplaints();
        return result;
    } finally {
        await profile.close();
    }
}

async function assertSaved(page) {
    const saved = await save(page, link);
    assert.equal(saved.name, basename(source));
    assert.equal(await sha256Of(saved.path), sourceHash);
    await page.waitForSelector("#receive-view[data-state=done]");
}

test("200 MB go up in one browser", async (context) => {
    link = await inFreshProfile(context, "up", (page) => share(page, source));
    assert.match(link, /\/#[0-9a-f]{64}\/./);
});

test("and come down in another, byte for byte", async (context) => {
    await inFreshProfile(context, "down", assertSaved);
});

test("and again after a restart with an empty cache", async (context) => {
    await kollator.stop();
    await kollator.emptyCache();
    await kollator.start();
    assert.equal((await kollator.stats()).cache.chunks, 0);
    await inFreshProfile(context, "down from the store", assertSaved);
});

test("the same file added again is all there already", async () => {
    const profile = await openProfile();
    try {
        const page = await openConnected(profile, kollator.url);
        assert.equal(await share(page, source), link);
        assert.match(await page.textContent(".row .status"), /all there already/);
        profile.assertNoComplaints();
    } finally {
        await profile.close();
    }
});
