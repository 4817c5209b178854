// The denylist of a real worker: what its file says is refused on every path soon after it says so.

import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { appendFile, mkdtemp, rename, rm, unlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { cleanup } from "node-datachannel";
import { Connection } from "../../bench/load/client.mjs";
import { Flag } from "../../bench/load/wire.mjs";
import {
    Code, Type, assertError, listBody, requestBody, run, startWorker, storeBody, until,
} from "../support/worker.mjs";

let folder;
let denylist;
let worker;
let client;

before(async () => {
    folder = await mkdtemp(join(tmpdir(), "kollator-denylist-"));
    denylist = join(folder, "denylist");
    await writeFile(denylist, "# nothing yet\n");
    worker = await startWorker({ DENYLIST_PATH: denylist });
    client = await Connection.open(worker.url);
});

after(async () => {
    client.close();
    assert.equal(await worker.stop(), 0);
    await rm(folder, { recursive: true, force: true });
    cleanup();
});

async function inForce(count) {
    const asked = Date.now();
    await until(`${count} hashes in force`, async () =>
        (await worker.get("/stats")).takedown.denylistHashes === count);
    return Date.now() - asked;
}

function assertRefused(answer) {
    assertError(answer, Code.NOT_FOUND);
    assert.match(answer.body.subarray(6).toString(), /^refused: /);
}

async function names(scope) {
    const { flags, body } = await client.exchange(Type.CHUNK_LIST, 0, listBody(Buffer.alloc(32), 0, scope));
    assert.ok(!(flags & Flag.ERROR));
    const count = body.readUInt16BE(1);
    return Array.from({ length: count }, (_, i) => body.subarray(3 + 36 * i, 35 + 36 * i).toString("hex"));
}

async function residency(hash) {
    const count = Buffer.from([0, 1]);
    const { body } = await client.exchange(Type.CHUNK_STAT, 0, Buffer.concat([count, hash]));
    return body.readUInt8(4);
}

test("a chunk that is denied is refused on every path, and served again afterwards", async () => {
    const chunk = randomBytes(300_000);
    const other = randomBytes(1000);
    const hash = await client.store(chunk);
    const kept = await client.store(other);
    await until("both are cached", async () => (await worker.get("/chunks")).chunks.length === 2);

    await appendFile(denylist, `${hash.toString("hex").toUpperCase()}   # by order\r\n`);
    const tookMs = await inForce(1);
    // A second on a machine that does nothing else; this one may be busy.
    assert.ok(tookMs < 10_000, `${tookMs} ms`);

    assertRefused(await client.exchange(Type.CHUNK_REQUEST, 0, requestBody(hash)));
    assertRefused(await client.exchange(Type.CHUNK_STORE, 0, storeBody(hash, 10, 0, randomBytes(10))));
    assert.equal(await residency(hash), 0);
    assert.deepEqual(await names(0), [kept.toString("hex")]);
    assert.deepEqual(await names(1), [kept.toString("hex")]);
    assert.deepEqual((await worker.get("/chunks")).chunks.map((one) => one.hash), [kept.toString("hex")]);
    assert.ok((await client.get(kept)).equals(other), "others are served");

    const stats = await worker.get("/stats");
    assert.equal(stats.takedown.purgedFromCache, 1);
    assert.equal(stats.takedown.deniedRequests, 2);
    assert.equal(stats.cache.chunks, 1);

    await writeFile(`${denylist}.new`, "");
    await rename(`${denylist}.new`, denylist);
    await inForce(0);
    assert.ok((await client.get(hash)).equals(chunk));
    await until("it is cached again", async () => (await residency(hash)) === 2);
});

test("wrong lines are told by number and void no others; SIGHUP reads at once", async () => {
    await writeFile(denylist, `nonsense\n${"ab".repeat(32)}\n`);
    worker.signal("SIGHUP");
    await inForce(1);
    const { status, checks } = await worker.get("/health");
    assert.equal(status, "warn");
    assert.match(checks.denylist.detail, /1 wrong line.* line 1: expected 64 hex digits/);
});

test("a file that is gone leaves the last list in force, and /health warns", async () => {
    await writeFile(denylist, `${"cd".repeat(32)}\n${"ab".repeat(32)}\n`);
    await inForce(2);
    await unlink(denylist);
    const health = await until("a warning", async () => {
        const now = await worker.get("/health");
        return now.checks.denylist.status === "warn" && now;
    });
    assert.match(health.checks.denylist.detail, /cannot be read: .*2 hashes\) is in force/);
    assertRefused(await client.exchange(Type.CHUNK_REQUEST, 0, requestBody(Buffer.alloc(32, 0xab))));
    await writeFile(denylist, "");
    await inForce(0);
    assert.equal((await worker.get("/health")).checks.denylist.status, "ok");
});

test("a worker that cannot read its denylist does not start", async () => {
    const settings = { DATA_DIR: join(folder, "none"), DENYLIST_PATH: join(folder, "missing") };
    const child = run("worker", settings);
    let text = "";
    child.stderr.on("data", (piece) => (text += piece));
    const [code] = await once(child, "close");
    assert.equal(code, 2);
    assert.match(text, /DENYLIST_PATH: .*missing/);
});
