// What a hostile or unlucky client, a dead object store, and a wrong setting get: the contract's
// errors, nothing stored that should not be, and a process that lives.

import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { cleanup } from "node-datachannel";
import { Connection } from "../../bench/load/client.mjs";
import { Code, Type, assertError, run, sha256, startWorker, storeBody, until } from "../support/worker.mjs";

const MIB = 1024 * 1024;
const UNSENT_FLAG = 0x10;

async function storedObjects(worker) {
    const files = await readdir(join(worker.folder, "store"), { recursive: true, withFileTypes: true });
    return files.filter((entry) => entry.isFile() && /^[0-9a-f]{64}$/.test(entry.name)).length;
}

after(() => cleanup());

describe("a worker with the filesystem store", () => {
    let worker;
    let client;
    before(async () => {
        worker = await startWorker();
        client = await Connection.open(worker.url);
    });
    after(async () => {
        client.close();
        assert.equal(await worker.stop(), 0);
    });

    test("refuses bytes that do not match their name, and keeps nothing", async () => {
        const body = storeBody(randomBytes(32), 4, 0, Buffer.from("oops"));
        const answer = await client.exchange(Type.CHUNK_STORE, 0, body);
        assertError(answer, Code.HASH_MISMATCH);
        assert.equal(await storedObjects(worker), 0);
    });

    test("refuses an oversized chunk", async () => {
        const body = storeBody(randomBytes(32), 5 * MIB + 1, 0, Buffer.alloc(1000));
        assertError(await client.exchange(Type.CHUNK_STORE, 0, body), Code.TOO_LARGE);
    });

    test("says NOT_FOUND for an unknown hash", async () => {
        const body = Buffer.concat([randomBytes(32), Buffer.alloc(8)]);
        assertError(await client.exchange(Type.CHUNK_REQUEST, 0, body), Code.NOT_FOUND);
    });

    test("says what is wrong with malformed messages", async () => {
        assertError(await client.exchange(Type.CHUNK_REQUEST, 0, Buffer.from("short")), Code.BAD_REQUEST);
        assertError(await client.exchange(Type.CHUNK_LIST, UNSENT_FLAG, Buffer.alloc(35)), Code.BAD_REQUEST);
        assertError(await client.exchange(0x77, 0, Buffer.alloc(1)), Code.UNSUPPORTED);
        assertError(await client.exchange(Type.AUTH, 0, Buffer.from("{}")), Code.BAD_REQUEST);
        assertError(await client.exchange(Type.DHT_ANNOUNCE, 0, Buffer.alloc(34)), Code.UNSUPPORTED);
    });

    test("refuses metadata that is none", async () => {
        const bytes = Buffer.from("d4:infod4:name1:aee");
        const body = storeBody(sha256(bytes), bytes.length, 0, bytes);
        const answer = await client.exchange(Type.METADATA_STORE, 0, body);
        assertError(answer, Code.BAD_REQUEST);
        assert.equal(await storedObjects(worker), 0);
    });

    test("answers broken SDP by status", async () => {
        const post = (body, type) =>
            fetch(`${worker.url}/rtc`, { method: "POST", body, headers: { "content-type": type } });
        assert.equal((await post("nonsense", "application/sdp")).status, 400);
        assert.equal((await post("v=0\r\n", "text/plain")).status, 415);
        const audio =
            "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n" +
            "m=audio 9 UDP/TLS/RTP/SAVPF 111\r\nc=IN IP4 0.0.0.0\r\n";
        assert.equal((await post(audio, "application/sdp")).status, 415);
    });

    test("and serves a good chunk after all that", async () => {
        const chunk = randomBytes(5 * MIB);
        const hash = await client.store(chunk);
        assert.ok((await client.get(hash)).equals(chunk));
        assert.equal(await storedObjects(worker), 1);
        assert.ok(worker.alive());
    });

    test("ends a connection that sends nothing but malformed messages, and only that one", async () => {
        const hostile = await Connection.open(worker.url);
        const attempts = Array.from({ length: 40 }, () =>
            hostile.exchange(Type.CHUNK_REQUEST, 0, Buffer.from("short")).catch(() => undefined),
        );
        void Promise.all(attempts);
        const closed = async () => (await (await fetch(`${worker.url}/stats`)).json()).connections.active === 1;
        const deadline = Date.now() + 20_000;
        while (!(await closed()) && Date.now() < deadline) await new Promise((go) => setTimeout(go, 50));
        assert.ok(await closed(), "the hostile connection is gone");
        assertError(await client.exchange(Type.CHUNK_REQUEST, 0, Buffer.alloc(40, 1)), Code.NOT_FOUND);
        hostile.close();
    });
});

describe("a worker whose object store is dead", () => {
    let worker;
    let client;
    before(async () => {
        // The discard port on loopback: nobody listens there.
        worker = await startWorker({
            S3_ENDPOINT: "http://127.0.0.1:9",
            S3_BUCKET: "files",
            S3_ACCESS_KEY: "a",
            S3_SECRET_KEY: "b",
        });
        client = await Connection.open(worker.url);
    });
    after(async () => {
        client.close();
        assert.equal(await worker.stop(), 0);
    });

    test("acknowledges nothing, and says UNAVAILABLE", async () => {
        const chunk = Buffer.from("a small chunk");
        const body = storeBody(sha256(chunk), chunk.length, 0, chunk);
        const answer = await client.exchange(Type.CHUNK_STORE, 0, body);
        assertError(answer, Code.UNAVAILABLE);
        const request = Buffer.concat([sha256(chunk), Buffer.alloc(8)]);
        assertError(await client.exchange(Type.CHUNK_REQUEST, 0, request), Code.UNAVAILABLE);
    });

    test("warns in /health, and lives", async () => {
        // The first look at the store takes as long as its retries.
        const health = await until("a warning", async () => {
            const response = await fetch(`${worker.url}/health`);
            assert.equal(response.status, 200);
            const now = await response.json();
            return now.checks.store.status === "warn" && now;
        });
        assert.equal(health.checks.store.status, "warn");
        assert.ok(!JSON.stringify(health).includes('"b"'), "no secret is told");
        assert.ok(worker.alive());
    });
});

describe("wrong settings", () => {
    test("end with exit code 2 and a line for each fault", async () => {
        const child = run("worker", { PORT: "70000", CACHE_SIZE_MB: "lots", STUN_SERVERS: "ftp://x" });
        let text = "";
        child.stderr.on("data", (piece) => (text += piece));
        const [code] = await once(child, "close");
        assert.equal(code, 2);
        const lines = text.trim().split("\n");
        assert.equal(lines.length, 3);
        for (const [name, value] of [["PORT", "70000"], ["CACHE_SIZE_MB", "lots"], ["STUN_SERVERS", "ftp://x"]]) {
            assert.ok(lines.some((line) => line.includes(`${name}="${value}": expected `)), name);
        }
    });

    test("a key that others can read is refused by the front", async () => {
        const folder = await mkdtemp(join(tmpdir(), "kollator-key-"));
        const path = join(folder, "worker.key");
        const keygen = spawn(process.env.KOLLATOR_BIN, ["keygen", path], { stdio: "ignore" });
        assert.deepEqual(await once(keygen, "exit"), [0, null]);
        await (await import("node:fs/promises")).chmod(path, 0o644);
        const child = run("front", { WORKER_SHARED_KEY_PATH: path, FRONT_PORT: "0", DATA_DIR: folder });
        let text = "";
        child.stderr.on("data", (piece) => (text += piece));
        const [code] = await once(child, "close");
        assert.equal(code, 2);
        assert.match(text, /chmod 600/);
        await rm(folder, { recursive: true });
    });
});
