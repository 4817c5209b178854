// WRITE_POLICY=back from outside: what a client, an operator and the object store see while the
// store hangs, when the backlog is full, and when the worker is told to end.

import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";

import { cleanup } from "node-datachannel";

import { Connection } from "../../bench/load/client.mjs";
import { Flag, Type } from "../../bench/load/wire.mjs";
import { PATIENCE_MS, Worker } from "../crash/worker.mjs";
import { startRgw } from "../support/rgw.mjs";
import { s3 } from "../support/sigv4.mjs";

const JOURNALED = 1;
const BUSY = 5;

let rgw;
const folders = [];

before(async () => {
    rgw = await startRgw();
});

after(async () => {
    Worker.killAll();
    await rgw?.stop();
    folders.forEach((folder) => rmSync(folder, { recursive: true, force: true }));
    cleanup();
});

function settings(more = {}) {
    const folder = mkdtempSync(join(tmpdir(), "kollator-write-back-"));
    folders.push(folder);
    return {
        ...rgw.environment(),
        DATA_DIR: folder,
        HOST: "127.0.0.1",
        PORT: "0",
        WRITE_POLICY: "back",
        LOG_LEVEL: "info",
        ...more,
    };
}

const hashOf = (bytes) => createHash("sha256").update(bytes).digest();

/** A chunk of one fragment; gives the answer's flags and body. */
function store(connection, chunk) {
    const fields = Buffer.alloc(8);
    fields.writeUInt32BE(chunk.length, 0);
    return connection.exchange(
        Type.CHUNK_STORE,
        0,
        Buffer.concat([hashOf(chunk), fields, chunk]),
    );
}

async function storeMany(connection, count, bytes = 50_000) {
    const chunks = Array.from({ length: count }, () => randomBytes(bytes));
    for (const chunk of chunks) {
        const { flags, body } = await store(connection, chunk);
        assert.equal(flags & Flag.ERROR, 0, String(body));
        assert.deepEqual([...body], [0, JOURNALED]);
    }
    return chunks;
}

async function assertInObjectStore(chunks) {
    for (const chunk of chunks) {
        const answer = await s3(rgw, { key: `chunks/${hashOf(chunk).toString("hex")}` });
        assert.equal(answer.status, 200);
        assert.deepEqual(Buffer.from(await answer.arrayBuffer()), chunk);
    }
}

async function waitFor(condition, what) {
    const deadline = performance.now() + PATIENCE_MS;
    while (!(await condition())) {
        assert.ok(performance.now() < deadline, what);
        await new Promise((resolve) => setTimeout(resolve, 20));
    }
}

test("stores go on while the store hangs, and are sent when a worker is told to end", async () => {
    const environment = settings({ DRAIN_SECONDS: "60" });
    const worker = await Worker.start(environment);
    const connection = await Connection.open(worker.url);
    await rgw.pause();
    const chunks = await storeMany(connection, 20);
    for (const chunk of chunks) assert.deepEqual(await connection.get(hashOf(chunk)), chunk);
    const { backlog } = await worker.stats();
    assert.equal(backlog.objects, 20);
    assert.ok(backlog.sizeBytes >= 20 * 50_000);
    const health = await (await fetch(`${worker.url}/health`)).json();
    assert.match(health.checks.backlog.detail, /^20 objects, 1MB of 1.0GB, the oldest \d+ s old/);
    const metrics = await (await fetch(`${worker.url}/metrics`)).text();
    assert.match(metrics, /^kollator_journal_pending_objects 20$/m);
    assert.match(metrics, /^kollator_journal_oldest_age_seconds [0-9.]+$/m);
    connection.close();
    const ended = worker.end("SIGTERM");
    await rgw.resume();
    assert.equal(await ended, 0);
    await assertInObjectStore(chunks);
});

test("what a drain could not send is said, and sent after the next start", async () => {
    const environment = settings({ DRAIN_SECONDS: "1" });
    let worker = await Worker.start(environment);
    const connection = await Connection.open(worker.url);
    await rgw.pause();
    const chunks = await storeMany(connection, 5);
    connection.close();
    assert.equal(await worker.end("SIGTERM"), 0);
    assert.match(worker.log, /event=journal-not-drained pending=5 /);
    worker = await Worker.start(environment);
    assert.equal((await worker.stats()).backlog.objects, 5);
    await rgw.resume();
    await waitFor(async () => (await worker.stats()).backlog.objects === 0, "not sent");
    await assertInObjectStore(chunks);
    await worker.end("SIGTERM");
});

test("a full backlog is BUSY with a time, until something has been sent", async () => {
    const worker = await Worker.start(settings({ WRITE_BACKLOG_MB: "16" }));
    const connection = await Connection.open(worker.url);
    await rgw.pause();
    let answer;
    let stored = 0;
    for (; stored < 200; stored++) {
        answer = await store(connection, randomBytes(200_000));
        if (answer.flags & Flag.ERROR) break;
    }
    assert.ok(stored > 70 && stored < 80, `${stored} stores of 200 kB in 16 MB`);
    assert.equal(answer.body.readUInt16BE(0), BUSY);
    assert.ok(answer.body.readUInt32BE(2) > 0, "a time to come back");
    const health = await (await fetch(`${worker.url}/health`)).json();
    assert.equal(health.checks.backlog.status, "warn");
    await rgw.resume();
    await waitFor(async () => (await worker.stats()).backlog.objects === 0, "not sent");
    await storeMany(connection, 1);
    connection.close();
    await worker.end("SIGTERM");
});

test("a worker that writes through sends what one that wrote back has left", async () => {
    const environment = settings();
    let worker = await Worker.start(environment);
    const connection = await Connection.open(worker.url);
    await rgw.pause();
    const chunks = await storeMany(connection, 3);
    connection.close();
    await worker.end("SIGKILL");
    await rgw.resume();
    worker = await Worker.start({ ...environment, WRITE_POLICY: "through" });
    await waitFor(async () => (await worker.stats()).backlog.objects === 0, "not sent");
    await assertInObjectStore(chunks);
    await worker.end("SIGTERM");
});

test("what is denied while it waits is not sent, unless the entry is taken back", async () => {
    const environment = settings();
    let worker = await Worker.start({ ...environment, S3_ENDPOINT: "http://127.0.0.1:1" });
    const connection = await Connection.open(worker.url);
    const [denied, other] = await storeMany(connection, 2);
    connection.close();
    await worker.end("SIGKILL");

    const denylist = join(environment.DATA_DIR, "denylist.txt");
    writeFileSync(denylist, `${hashOf(denied).toString("hex")}\n`);
    worker = await Worker.start({ ...environment, DENYLIST_PATH: denylist });
    await waitFor(async () => (await worker.stats()).backlog.sent === 1, "the other is not sent");
    const { backlog } = await worker.stats();
    assert.deepEqual([backlog.objects, backlog.withheld], [1, 1]);
    await assertInObjectStore([other]);
    const key = `chunks/${hashOf(denied).toString("hex")}`;
    assert.equal((await s3(rgw, { key })).status, 404);

    writeFileSync(denylist, "");
    await waitFor(async () => (await worker.stats()).backlog.objects === 0, "not sent");
    await assertInObjectStore([denied]);
    await worker.end("SIGTERM");
});

test("a second worker on the same data folder is refused with words", async () => {
    const environment = settings();
    const worker = await Worker.start(environment);
    await assert.rejects(
        Worker.start(environment),
        /the worker ended: 1: .*in use by another kollator: end that one, or set DATA_DIR/,
    );
    await worker.end("SIGTERM");
});
