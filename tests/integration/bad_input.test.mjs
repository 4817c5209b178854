// What a hostile or unlucky client, a dead object store, and a wrong setting get: the contract's
// errors, nothing stored that should not be, and a process that lives.

import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { createInterface } from "node:readline";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { cleanup } from "node-datachannel";
import { Connection } from "../../bench/load/client.mjs";
import { Flag } from "../../bench/load/wire.mjs";

const MIB = 1024 * 1024;
const Code = { BAD_REQUEST: 1, NOT_FOUND: 2, TOO_LARGE: 3, HASH_MISMATCH: 4, UNAVAILABLE: 6, UNSUPPORTED: 8 };
const Type = { CHUNK_REQUEST: 1, CHUNK_STORE: 3, CHUNK_LIST: 4, DHT_ANNOUNCE: 5, METADATA_STORE: 8, AUTH: 10 };
const UNSENT_FLAG = 0x10;

function run(command, settings) {
    return spawn(process.env.KOLLATOR_BIN, [command], {
        stdio: ["ignore", "pipe", "pipe"],
        env: { PATH: process.env.PATH, HOST: "127.0.0.1", PORT: "0", LOG_LEVEL: "off", ...settings },
    });
}

async function startWorker(settings = {}) {
    const folder = await mkdtemp(join(tmpdir(), "kollator-bad-input-"));
    const child = run("worker", { DATA_DIR: folder, ...settings });
    const exited = once(child, "exit");
    for await (const line of createInterface({ input: child.stdout })) {
        const found = /http:\/\/[^ ]*:(\d+)/.exec(line);
        if (!found) continue;
        const url = `http://127.0.0.1:${found[1]}`;
        return {
            url,
            folder,
            alive: () => child.exitCode === null && child.signalCode === null,
            async stop() {
                child.kill("SIGTERM");
                const [code] = await exited;
                await rm(folder, { recursive: true, force: true });
                return code;
            },
        };
    }
    throw new Error("the worker ended before it said where it listens");
}

function storeBody(hash, total, offset, data) {
    const fields = Buffer.alloc(8);
    fields.writeUInt32BE(total, 0);
    fields.writeUInt32BE(offset, 4);
    return Buffer.concat([hash, fields, data]);
}

function assertError({ flags, body }, code) {
    assert.ok(flags & Flag.ERROR, "an error was expected");
    assert.equal(body.readUInt16BE(0), code, body.subarray(6).toString());
    assert.ok(body.length > 6, "an error has words for people");
}

async function storedObjects(worker) {
    const files = await readdir(join(worker.folder, "store"), { recursive: true, withFileTypes: true });
    return files.filter((entry) => entry.isFile() && /^[0-9a-f]{64}$/.test(entry.name)).length;
}

const sha256 = (bytes) => createHash("sha256").update(bytes).digest();

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
        assertError(await client.exchange(Type.AUTH, 0, Buffer.from("{}")), Code.UNSUPPORTED);
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
        const response = await fetch(`${worker.url}/health`);
        assert.equal(response.status, 200);
        const health = await response.json();
        assert.equal(health.status, "warn");
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
