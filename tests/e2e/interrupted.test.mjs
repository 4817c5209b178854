// What breaks in the middle goes on: a reloaded page, a server that dies and comes back.

import assert from "node:assert/strict";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { after, afterEach, before, beforeEach, test } from "node:test";

import { linkOfStored, openConnected, openProfile, save, share } from "./support/browser.mjs";
import { scratchFolder, sha256Of, writeRandomFile } from "./support/files.mjs";
import { startKollator } from "./support/kollator.mjs";

const FILE_BYTES = 60_000_000;
/** What a browser says by itself of a server that is gone, or back without its worker (503). */
const SERVER_GONE = /ERR_CONNECTION|ERR_EMPTY_RESPONSE|WebSocket connection|503/;

let folder;
let kollator;
let profile;

before(async () => {
    folder = await scratchFolder();
    kollator = await startKollator();
});

after(async () => {
    await kollator?.dispose();
    await rm(folder, { recursive: true, force: true });
});

beforeEach(async () => {
    profile = await openProfile();
});

afterEach(() => profile.close());

/** Resolves when a share from 0 to 1 of the bar `selector` is full. */
async function reached(page, selector, share) {
    await page.waitForFunction(
        ([bar, least]) => Number(document.querySelector(bar)?.getAttribute("aria-valuenow")) >= least,
        [selector, 100 * share],
        { polling: 50 },
    );
}

test("an upload goes on after a reload in the middle, and sends only the rest", async () => {
    const source = await writeRandomFile(join(folder, "reloaded.bin"), FILE_BYTES, "e2e-reload");
    const page = await openConnected(profile, kollator.url);
    await page.setInputFiles("#file-input", source);
    await reached(page, ".row .bar", 0.3);
    await page.reload();
    await page.waitForSelector("#unfinished:not([hidden])");
    assert.match(await page.textContent("#unfinished"), /reloaded\.bin \(60\.0 MB\)/);
    const link = await share(page, source);
    const status = await page.textContent(".row .status");
    const there = Number(/([0-9.]+) MB were there already/.exec(status)?.[1]);
    assert.ok(there > 10 && there < 60, status);
    const saved = await save(page, link);
    assert.equal(await sha256Of(saved.path), await sha256Of(source));
    await page.goto(kollator.url);
    assert.equal(await page.isVisible("#unfinished"), false);
    profile.assertNoComplaints();
});

test("an upload outlives a server that dies and comes back", async () => {
    const source = await writeRandomFile(join(folder, "killed-up.bin"), FILE_BYTES, "e2e-kill-up");
    const page = await openConnected(profile, kollator.url);
    await page.setInputFiles("#file-input", source);
    await reached(page, ".row .bar", 0.2);
    await kollator.kill();
    await page.waitForSelector("#connection[data-state=offline]");
    await page.waitForSelector("#notice:not([hidden])");
    assert.match(await page.textContent("#notice"), /(does not answer|reached|lost).*keeps trying|reconnecting/);
    await kollator.start();
    const link = await linkOfStored(page);
    const saved = await save(page, link);
    assert.equal(await sha256Of(saved.path), await sha256Of(source));
    assert.equal(await page.isVisible("#notice"), false);
    profile.assertNoComplaints(SERVER_GONE);
});

test("a download outlives a server that dies and comes back", async () => {
    const source = await writeRandomFile(join(folder, "killed-down.bin"), FILE_BYTES, "e2e-kill-dn");
    const page = await openConnected(profile, kollator.url);
    const link = await share(page, source);
    await page.goto(link);
    await page.waitForSelector("#receive-view[data-state=ready]");
    const downloading = page.waitForEvent("download");
    await page.click("[data-save]");
    await reached(page, "#receive-view .bar", 0.2);
    await kollator.kill();
    await page.waitForSelector("#connection[data-state=offline]");
    await kollator.start();
    const download = await downloading;
    assert.equal(await sha256Of(await download.path()), await sha256Of(source));
    profile.assertNoComplaints(SERVER_GONE);
});

test("a download can be cancelled and begun again", async () => {
    const source = await writeRandomFile(join(folder, "cancelled.bin"), FILE_BYTES, "e2e-cancel");
    const page = await openConnected(profile, kollator.url);
    const link = await share(page, source);
    await page.goto(link);
    await page.waitForSelector("#receive-view[data-state=ready]");
    await page.click("[data-save]");
    await reached(page, "#receive-view .bar", 0.1);
    await page.click("#receive-view [data-cancel]");
    await page.waitForSelector("#receive-view[data-state=ready]");
    assert.match(await page.textContent("#receive-view .status"), /Cancelled/);
    const downloading = page.waitForEvent("download");
    await page.click("[data-save]");
    assert.equal(await sha256Of(await (await downloading).path()), await sha256Of(source));
    profile.assertNoComplaints();
});
