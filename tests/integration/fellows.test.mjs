// Three workers who know each other through one front, on one bucket of Ceph's RADOS Gateway: real
// processes, and clients that fall back on another worker as the SDK does.

import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import { execFileSync } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { createInterface } from "node:readline";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { cleanup } from "node-datachannel";
import { Connection } from "../../bench/load/client.mjs";
import { startRgw } from "../support/rgw.mjs";
import { run, startWorker, until } from "../support/worker.mjs";
import { setTimeout as sleep } from "node:timers/promises";

const CHUNKS = 300;
const CHUNK_BYTES = 48 * 1024;
const IN_FLIGHT = 100;
const HELLO = 0;
const LOST = new Error("the worker is lost");
const WORKERS = ["worker-a", "worker-b", "worker-c"];

let folder;
let rgw;
let front;
let frontUrl;
let settings;
const workers = new Map();

before(async () => {
    folder = await mkdtemp(join(tmpdir(), "kollator-fellows-"));
    const key = join(folder, "worker.key");
    execFileSync(process.env.KOLLATOR_BIN, ["keygen", key]);
    rgw = await startRgw();
    front = run("front", { WORKER_SHARED_KEY_PATH: key, FRONT_PORT: "0", FRONT_HOST: "127.0.0.1" });
    front.stderr.resume();
    for await (const line of createInterface({ input: front.stdout })) {
        const found = /http:\/\/[^ ]*:(\d+)/.exec(line);
        if (found) {
            frontUrl = `http://127.0.0.1:${found[1]}`;
            break;
        }
    }
    settings = {
        ...rgw.environment(),
        WORKER_SHARED_KEY_PATH: key,
        FRONT_URLS: frontUrl,
        FELLOW_WAIT_MS: "5000",
    };
    for (const id of WORKERS) workers.set(id, await startWorker({ ...settings, WORKER_ID: id }));
    await allLinked([...workers.values()]);
});

after(async () => {
    for (const worker of workers.values()) if (worker.alive()) await worker.stop();
    if (front) {
        const exited = once(front, "exit");
        front.kill("SIGTERM");
        await exited;
    }
    await rgw?.stop();
    await rm(folder, { recursive: true, force: true });
    cleanup();
});

/** For each of `items`, `IN_FLIGHT` of them at once: a worker refuses more than 128. */
async function each(items, task) {
    const left = [...items];
    const one = async () => {
        while (left.length > 0) await task(left.shift());
    };
    await Promise.all(Array.from({ length: IN_FLIGHT }, one));
}

async function allLinked(some) {
    await until("every worker is linked to every other", async () => {
        const all = await Promise.all(some.map((worker) => worker.get("/stats")));
        return all.every(({ fellows }) =>
            fellows.filter(({ state }) => state === "up").length === some.length - 1);
    });
}

async function getsAtTheStore() {
    let sum = 0;
    for (const worker of workers.values()) {
        if (!worker.alive()) continue;
        const { get = {} } = (await worker.get("/stats")).storage.operations;
        sum += Object.values(get).reduce((one, other) => one + other, 0);
    }
    return sum;
}

/** Chunks that the object store has and no cache. */
async function coldChunks() {
    const writer = await Connection.open(workers.get("worker-a").url);
    const chunks = Array.from({ length: CHUNKS }, () => randomBytes(CHUNK_BYTES));
    const hashes = [];
    await each(chunks, async (chunk) => hashes.push(await writer.store(chunk)));
    writer.close();
    for (const worker of workers.values()) {
        if (worker.alive()) await fetch(`${worker.url}/cache/clear`, { method: "POST" });
    }
    return hashes;
}

const sha256 = (bytes) => createHash("sha256").update(bytes).digest();

test("a cold chunk asked of all workers at once costs one GET", async () => {
    const hashes = await coldChunks();
    const before = await getsAtTheStore();
    await Promise.all([...workers.values()].map(async (worker) => {
        const client = await Connection.open(worker.url);
        await each(hashes, async (hash) => {
            assert.deepEqual(sha256(await client.get(hash)), hash);
        });
        client.close();
    }));
    const gets = await getsAtTheStore() - before;
    const told = await Promise.all([...workers.values()].map(async (worker) => {
        const { fellows, storage } = await worker.get("/stats");
        return JSON.stringify({ fellows, operations: storage.operations });
    }));
    assert.ok(gets <= CHUNKS * 1.1,
        `${gets} GETs for ${CHUNKS} chunks asked of 3 workers: ${told.join("\n")}`);
    assert.ok(gets >= CHUNKS, `${gets} GETs: the chunks were not cold`);
    for (const worker of workers.values()) {
        const { fellows } = await worker.get("/stats");
        assert.equal(fellows.length, 2);
        for (const fellow of fellows) assert.ok(fellow.got > CHUNKS / 6, JSON.stringify(fellow));
        assert.equal((await worker.get("/health")).checks.fellows.status, "ok");
        assert.match(await (await fetch(`${worker.url}/metrics`)).text(),
            /kollator_cluster_fellows\{state="up"\} 2/);
    }
});

test("the same chunk stored at all workers at once is uploaded once", async () => {
    const uploaded = async () => {
        let sum = 0;
        for (const worker of workers.values()) sum += (await worker.get("/stats")).storage.uploadedChunks;
        return sum;
    };
    const chunks = Array.from({ length: 30 }, () => randomBytes(CHUNK_BYTES));
    const before = await uploaded();
    await Promise.all([...workers.values()].map(async (worker) => {
        const client = await Connection.open(worker.url);
        await each(chunks, (chunk) => client.store(chunk));
        client.close();
    }));
    assert.equal(await uploaded() - before, chunks.length);
});

/** Asks one worker until that is lost, or gives no sign of life, then the next one. */
class FailingOver {
    constructor(urls) {
        this.urls = urls;
    }

    async get(hash) {
        for (;;) {
            this.used ??= this.connect();
            const used = this.used;
            const { connection, lost } = await used;
            try {
                return await Promise.race([connection.get(hash), lost]);
            } catch (error) {
                if (error !== LOST) throw error;
                if (this.used !== used) continue;
                assert.ok(this.urls.length > 1, "there is another worker");
                this.urls.shift();
                this.used = undefined;
                this.lostAt = Date.now();
            }
        }
    }

    async connect() {
        const connection = await Connection.open(this.urls[0]);
        // Who has nowhere to go waits: on a slow machine an answer may take long.
        const lost = this.urls.length > 1 ? this.watch(connection) : new Promise(() => {});
        lost.catch(() => {});
        return { connection, lost };
    }

    /** Rejects when the worker answers nothing for a second and a half. */
    async watch(connection) {
        const hello = Buffer.from('{"version":1,"role":"client"}');
        while (!this.closed) {
            await sleep(500);
            const late = sleep(1500).then(() => {
                throw LOST;
            });
            late.catch(() => {});
            await Promise.race([connection.exchange(HELLO, 0, hello), late]).catch(() => {
                connection.close();
                throw LOST;
            });
        }
    }

    async close() {
        this.closed = true;
        (await this.used).connection.close();
    }
}

test("a worker that is killed takes no request with it", { timeout: 180_000 }, async () => {
    const hashes = await coldChunks();
    const [a, b, c] = WORKERS.map((id) => workers.get(id));
    let answered = 0;
    let killedAt;
    let goesOnAt;
    const clients = [[a.url], [b.url], [c.url, a.url]].map((urls) => new FailingOver(urls));
    await Promise.all(clients.map((client) => each(hashes, async (hash) => {
        assert.deepEqual(sha256(await client.get(hash)), hash);
        if (++answered === CHUNKS / 2) {
            c.signal("SIGKILL");
            killedAt = Date.now();
        }
        if (client === clients[2] && client.urls[0] === a.url) goesOnAt ??= Date.now();
    })));
    assert.equal(answered, 3 * CHUNKS);
    assert.ok(goesOnAt - killedAt < 5000, `${goesOnAt - killedAt} ms until the client went on`);
    for (const client of clients) await client.close();

    await until("the dead fellow is noticed", async () => {
        const { fellows } = await a.get("/stats");
        return fellows.filter(({ state }) => state === "up").length === 1;
    });
    workers.set("worker-c", await startWorker({ ...settings, WORKER_ID: "worker-c" }));
    await allLinked([...workers.values()]);
});
