// A file from the command line to the page in a browser, and the other way: the same links.

import assert from "node:assert/strict";
import { rm, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { after, before, test } from "node:test";

import { kollator as run } from "../support/cli.mjs";
import { openConnected, openProfile, save, share } from "./support/browser.mjs";
import { scratchFolder, sha256Of, writeRandomFile } from "./support/files.mjs";
import { startKollator } from "./support/kollator.mjs";

let folder;
let kollator;
let profile;
let page;

before(async () => {
    folder = await scratchFolder();
    kollator = await startKollator();
    profile = await openProfile();
    page = await openConnected(profile, kollator.url);
});

after(async () => {
    await profile?.close();
    await kollator?.dispose();
    await rm(folder, { recursive: true, force: true });
});

test("put by the command line, saved by the page", async () => {
    const source = await writeRandomFile(join(folder, "from the shell – ü.bin"), 23_456_789, "e2e-cli-1");
    const put = await run(["put", source, "--front", kollator.url]);
    assert.equal(put.code, 0, put.stderr);
    const saved = await save(page, put.lines[0]);
    assert.equal(saved.name, basename(source));
    assert.equal(await sha256Of(saved.path), await sha256Of(source));
});

test("shared by the page, got by the command line, and the same link from both", async () => {
    const source = await writeRandomFile(join(folder, "from the page (1).bin"), 17_000_001, "e2e-cli-2");
    const fresh = await openConnected(profile, kollator.url);
    const link = await share(fresh, source);
    const output = join(folder, "got.bin");
    const got = await run(["get", link, "-o", output]);
    assert.equal(got.code, 0, got.stderr);
    assert.equal(await sha256Of(output), await sha256Of(source));
    const put = await run(["put", source, "--front", kollator.url, "--json"]);
    assert.equal(put.json()[0].sent, 0, "all of it was there");
    assert.equal(put.json()[0].hash, /#([0-9a-f]{64})/.exec(link)[1]);
    assert.equal(new URL(put.json()[0].link).hash, new URL(link).hash);
    profile.assertNoComplaints();
});

test("text, which travels compressed, both ways", async () => {
    const lines = Array.from({ length: 300_000 }, (_, i) => `${i}: a line of a log, such as many are\n`);
    const source = join(folder, "log.txt");
    await writeFile(source, lines.join(""));
    const fresh = await openConnected(profile, kollator.url);
    const link = await share(fresh, source);
    const got = await run(["get", link, "-o", join(folder, "log.got")]);
    assert.equal(got.code, 0, got.stderr);
    assert.equal(await sha256Of(join(folder, "log.got")), await sha256Of(source));
    const saved = await save(fresh, link);
    assert.equal(await sha256Of(saved.path), await sha256Of(source));
    // What crossed the wire: up once, down twice, and less than the file each time.
    const metrics = await (await fetch(new URL("/metrics", kollator.workerUrl))).text();
    const bytes = (name) => Number(new RegExp(`^${name} (\\S+)$`, "m").exec(metrics)[1]);
    const size = lines.join("").length;
    assert.ok(size > 10_000_000);
    const others = 23_456_789 + 17_000_001; // of the tests above, each once up and once down
    assert.ok(bytes("kollator_session_received_bytes_total") < others + size * 0.6);
    assert.ok(bytes("kollator_session_sent_bytes_total") < others + 2 * size * 0.6);
});
