// The same way with an S3 store: Ceph's RADOS Gateway.

import assert from "node:assert/strict";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { after, before, test } from "node:test";

import { startRgw } from "../support/rgw.mjs";
import { openConnected, openProfile, save, share } from "./support/browser.mjs";
import { scratchFolder, sha256Of, writeRandomFile } from "./support/files.mjs";
import { startKollator } from "./support/kollator.mjs";

let folder;
let rgw;
let kollator;

before(async () => {
    folder = await scratchFolder();
    rgw = await startRgw();
    kollator = await startKollator(rgw.environment());
});

after(async () => {
    await kollator?.dispose();
    await rgw?.stop();
    await rm(folder, { recursive: true, force: true });
});

test("200 MB go up, are kept by S3 alone, and come down byte for byte", async (context) => {
    const source = await writeRandomFile(join(folder, "s3.bin"), 200_000_000, "e2e-s3");
    const sender = await openProfile();
    const receiver = await openProfile();
    try {
        const begun = performance.now();
        const link = await share(await openConnected(sender, kollator.url), source);
        const stored = performance.now();
        await kollator.stop();
        await kollator.emptyCache();
        await kollator.start();
        const page = await openConnected(receiver, kollator.url);
        const fetching = performance.now();
        const saved = await save(page, link);
        context.diagnostic(
            `up ${(200_000 / (stored - begun)).toFixed(1)} MB/s, ` +
                `down ${(200_000 / (performance.now() - fetching)).toFixed(1)} MB/s`,
        );
        assert.equal(await sha256Of(saved.path), await sha256Of(source));
        receiver.assertNoComplaints();
    } finally {
        await sender.close();
        await receiver.close();
    }
});
