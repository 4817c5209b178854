// What a whole worker says and does about its S3 store: credentials from files that change while it
// runs, the circuit, the month's egress.

import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { createInterface } from "node:readline";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { cleanup } from "node-datachannel";
import { Connection } from "../../bench/load/client.mjs";
import { startRgw } from "../support/rgw.mjs";

const DEADLINE_MS = 60_000;
const CHUNK_BYTES = 100_000;
const USED_BEFORE = 900_000_000;

const month = new Date().toISOString().slice(0, 7);
let rgw;
let folder;
let worker;
let url;

async function startWorker() {
    const { S3_ACCESS_KEY, S3_SECRET_KEY, ...store } = rgw.environment();
    await writeFile(join(folder, "access"), `${S3_ACCESS_KEY}\n`);
    await writeFile(join(folder, "secret"), `${S3_SECRET_KEY}\n`);
    worker = spawn(process.env.KOLLATOR_BIN, ["worker"], {
        stdio: ["ignore", "pipe", "ignore"],
        env: {
            ...store,
            PATH: process.env.PATH,
            HOST: "127.0.0.1",
            PORT: "0",
            LOG_LEVEL: "off",
            DATA_DIR: folder,
            S3_ACCESS_KEY_FILE: join(folder, "access"),
            S3_SECRET_KEY_FILE: join(folder, "secret"),
            S3_EGRESS_BUDGET_GB: "1",
            S3_BREAKER_FAILURES: "2",
        },
    });
    for await (const line of createInterface({ input: worker.stdout })) {
        const found = /http:\/\/[^ ]*:(\d+)/.exec(line);
        if (found) return `http://127.0.0.1:${found[1]}`;
    }
    throw new Error("the worker ended before it said where it listens");
}

async function stopWorker() {
    const exited = once(worker, "exit");
    worker.kill("SIGTERM");
    await exited;
}

const json = async (path) => (await fetch(new URL(path, url))).json();

async function until(what, condition) {
    const end = Date.now() + DEADLINE_MS;
    for (;;) {
        const seen = await condition();
        if (seen) return seen;
        if (Date.now() > end) throw new Error(`not within ${DEADLINE_MS} ms: ${what}`);
        await sleep(50);
    }
}

const check = async (name) => (await json("/health")).checks[name];
const until_check = (name, status) =>
    until(`${name} ${status}`, async () => {
        const found = await check(name);
        return found.status === status && found;
    });

async function store() {
    const connection = await Connection.open(url);
    try {
        return await connection.store(randomBytes(CHUNK_BYTES));
    } finally {
        connection.close();
    }
}

before(async () => {
    rgw = await startRgw();
    folder = await mkdtemp(join(tmpdir(), "kollator-store-health-"));
    await writeFile(join(folder, "egress"), `${month} ${USED_BEFORE}\n`);
    url = await startWorker();
});

after(async () => {
    if (worker?.exitCode === null) await stopWorker();
    await rgw?.stop();
    if (folder) await rm(folder, { recursive: true, force: true });
    cleanup();
});

test("it says that all is well, and warns of an egress budget that is nearly used up", async () => {
    await store();
    assert.equal((await check("circuit")).status, "ok");
    assert.equal((await check("credentials")).status, "ok");
    const egress = await check("egress");
    assert.equal(egress.status, "warn");
    assert.match(egress.detail, /^0\.9 of 1 GB in \d{4}-\d\d \(90 %\)$/);
    const { storage } = await json("/stats");
    assert.equal(storage.circuit, "closed");
    assert.equal(storage.operations.put.ok, 1);
    assert.equal(storage.egress.month, month);
    assert.ok(storage.egress.usedBytes >= USED_BEFORE);
    const metrics = await (await fetch(new URL("/metrics", url))).text();
    assert.match(metrics, /kollator_store_requests_total\{operation="put",result="ok"\} 1\n/);
    assert.match(metrics, /kollator_store_egress_budget_bytes 1000000000\n/);
});

test("a chunk that is new is one PUT, a miss one GET, and neither asks anything else", async () => {
    const before_it = (await json("/stats")).storage.operations;
    const hash = await store();
    assert.equal((await fetch(new URL("/cache/clear", url), { method: "POST" })).status, 200);
    const connection = await Connection.open(url);
    assert.equal((await connection.get(hash)).length, CHUNK_BYTES);
    connection.close();
    const { list: _lists, ...rest } = (await json("/stats")).storage.operations; // the health probe's
    delete before_it.list;
    assert.deepEqual(rest, {
        ...before_it,
        get: { ok: (before_it.get?.ok ?? 0) + 1 },
        put: { ok: before_it.put.ok + 1 },
    });
});

test("credentials change with their files, and not to what is no credential", async () => {
    await writeFile(join(folder, "secret"), "");
    await until_check("credentials", "warn");
    await store(); // with the ones from before
    await writeFile(join(folder, "secret"), "not the right one");
    await until("a refusal", () => store().then(() => false, () => true));
    assert.equal((await check("credentials")).status, "ok");
    await writeFile(join(folder, "secret"), rgw.environment().S3_SECRET_KEY);
    await until("a success", () => store().catch(() => false));
});

test("the circuit opens when the gateway is gone, and closes when it is back", async () => {
    await rgw.kill();
    await until("failures", async () => {
        await store().catch(() => {});
        return (await check("circuit")).status === "warn";
    });
    assert.match((await check("circuit")).detail, /^(open|half-open): not asked, since/);
    assert.equal((await json("/health")).status, "warn");
    assert.equal((await fetch(new URL("/health", url))).status, 200);
    await rgw.restart();
    await until("a success", () => store().catch(() => false));
    assert.equal((await check("circuit")).status, "ok");
});

test("the month's egress lasts over a restart", async () => {
    const { usedBytes } = (await json("/stats")).storage.egress;
    await stopWorker();
    const [kept, bytes] = (await readFile(join(folder, "egress"), "utf8")).trim().split(" ");
    assert.equal(kept, month);
    assert.ok(Number(bytes) >= usedBytes);
    url = await startWorker();
    assert.ok((await json("/stats")).storage.egress.usedBytes >= usedBytes);
});
