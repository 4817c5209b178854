// `kollator ls` and `kollator rm` against real workers: on a folder, and on Ceph's S3 gateway.

import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { cleanup } from "node-datachannel";
import { Connection } from "../../bench/load/client.mjs";
import { kollator } from "../support/cli.mjs";
import { startRgw } from "../support/rgw.mjs";
import { Code, Type, assertError, requestBody, startWorker, storeBody } from "../support/worker.mjs";

const TOKEN = "a token of the tests";
const UNUSED_URL = "http://127.0.0.1:9"; // the discard port: nobody listens there

after(() => cleanup());

const bytes = (text) => `${Buffer.byteLength(text)}:${text}`;

/** A BitTorrent v2 metainfo file of one empty file, and its info-hash. */
function torrent(name) {
    const info = `d${bytes("file tree")}d${bytes(name)}d0:d${bytes("length")}i0eeee` +
        `${bytes("meta version")}i2e${bytes("name")}${bytes(name)}${bytes("piece length")}i16384ee`;
    const metainfo = Buffer.from(`d${bytes("info")}${info}e`);
    return { metainfo, hash: createHash("sha256").update(info).digest() };
}

function describeWorkerOn(what, startStore) {
    describe(`a worker on ${what}`, () => {
        let store;
        let worker;
        let client;
        let asAdmin;
        before(async () => {
            store = await startStore();
            worker = await startWorker({ ADMIN_TOKEN: TOKEN, ...store.environment });
            asAdmin = { KOLLATOR_URL: worker.url, ADMIN_TOKEN: TOKEN };
            client = await Connection.open(worker.url);
        });
        after(async () => {
            client?.close();
            if (worker) assert.equal(await worker.stop(), 0);
            await store?.stop();
        });

        test("lists what is stored, page after page, and deletes it", async () => {
            const hashes = [];
            for (let i = 0; i < 20; i++) hashes.push((await client.store(randomBytes(100 + i))).toString("hex"));
            const listed = await kollator(["ls"], asAdmin);
            assert.equal(listed.code, 0, listed.stderr);
            assert.deepEqual(listed.lines.map((line) => line.split("\t")[0]), [...hashes].sort());
            const cached = await kollator(["ls", "--cached", "--json"], asAdmin);
            assert.equal(cached.lines.length, 20);
            const sizes = cached.lines.map((line) => JSON.parse(line).size).sort((a, b) => a - b);
            assert.deepEqual(sizes, hashes.map((_, i) => 100 + i));

            // The same over WebRTC, where nobody needs to be an admin.
            for (const args of [["ls"], ["ls", "--cached"]]) {
                const asClient = await kollator([...args, "--worker", worker.url]);
                assert.equal(asClient.code, 0, asClient.stderr);
                assert.deepEqual(asClient.lines, listed.lines);
            }
            const both = await kollator(["ls", "--torrents", "--worker", worker.url]);
            assert.equal(both.code, 2);
            assert.match(both.stderr, /--torrents/);

            const [first, second] = hashes;
            const removed = await kollator(["rm", first, second], asAdmin);
            assert.equal(removed.code, 0, removed.stderr);
            assert.deepEqual(removed.lines, [`${first}\tremoved`, `${second}\tremoved`]);
            for (const args of [["ls"], ["ls", "--cached"]]) {
                const { lines } = await kollator(args, asAdmin);
                assert.equal(lines.length, 18);
                assert.ok(!lines.some((line) => line.startsWith(first)));
            }
            const request = requestBody(Buffer.from(first, "hex"));
            assertError(await client.exchange(Type.CHUNK_REQUEST, 0, request), Code.NOT_FOUND);
            assert.equal((await kollator(["rm", first], asAdmin)).code, 0, "what is gone can be removed");
            assert.equal((await worker.get("/stats")).takedown.deleted, 3);
        });

        test("a chunk that was deleted can be stored again", async () => {
            const chunk = randomBytes(50_000);
            const hash = await client.store(chunk);
            assert.equal((await kollator(["rm", hash.toString("hex")], asAdmin)).code, 0);
            await client.store(chunk);
            assert.ok((await client.get(hash)).equals(chunk));
            const { lines } = await kollator(["ls"], asAdmin);
            assert.ok(lines.includes(`${hash.toString("hex")}\t50000`));
        });

        test("lists torrents by name, and deletes them", async () => {
            const { metainfo, hash } = torrent("holiday.mp4");
            const body = storeBody(hash, metainfo.length, 0, metainfo);
            const stored = await client.exchange(Type.METADATA_STORE, 0, body);
            assert.deepEqual([...stored.body], [0, 2]);
            for (const args of [["ls", "--torrents"], ["ls", "--torrents", "--cached"]]) {
                const { lines, stderr } = await kollator(args, asAdmin);
                assert.deepEqual(lines, [`${hash.toString("hex")}\t0\tholiday.mp4`], stderr);
            }
            const removed = await kollator(["rm", "--torrents", hash.toString("hex")], asAdmin);
            assert.equal(removed.code, 0, removed.stderr);
            assert.deepEqual((await kollator(["ls", "--torrents"], asAdmin)).lines, []);
            const asked = await client.exchange(Type.METADATA_REQUEST, 0, requestBody(hash));
            assertError(asked, Code.NOT_FOUND);
        });

        test("says what is wrong, and by which exit code", async () => {
            const hash = "00".repeat(32);
            const none = await kollator(["rm", hash], { KOLLATOR_URL: worker.url });
            assert.equal(none.code, 4);
            assert.match(none.stderr, /not allowed: .*; set ADMIN_TOKEN to the worker's/);
            const wrong = await kollator(["ls"], { ...asAdmin, ADMIN_TOKEN: "another one entirely" });
            assert.equal(wrong.code, 4);
            assert.match(wrong.stderr, /ADMIN_TOKEN is not the worker's/);
            const nobody = await kollator(["ls", "--url", UNUSED_URL], asAdmin);
            assert.equal(nobody.code, 3);
            assert.match(nobody.stderr, /no worker answers at http:\/\/127\.0\.0\.1:9: /);
            assert.equal((await kollator(["rm", "not-a-hash"], asAdmin)).code, 2);
            assert.equal((await kollator(["rm"], asAdmin)).code, 2);
        });
    });
}

function testDelay(what, startStore) {
    test(`on ${what} a deletion is delayed across restarts, and taken back for a store`, async () => {
        const store = await startStore();
        const folder = await mkdtemp(join(tmpdir(), "kollator-objects-"));
        const settings = { S3_MIN_STORAGE_DAYS: "90", DATA_DIR: folder, ...store.environment };
        let worker = await startWorker(settings);
        const environment = () => ({ KOLLATOR_URL: worker.url });
        let client = await Connection.open(worker.url);
        const chunk = randomBytes(1000);
        const hash = await client.store(chunk);
        const removed = await kollator(["rm", hash.toString("hex")], environment());
        assert.match(removed.lines[0], /\tdelayed until \d{4}-\d\d-\d\d$/, removed.stderr);
        assert.deepEqual((await kollator(["ls"], environment())).lines, []);
        assert.equal((await worker.get("/stats")).takedown.deletesPending, 1);
        client.close();
        await worker.stop();

        worker = await startWorker(settings);
        client = await Connection.open(worker.url);
        assertError(await client.exchange(Type.CHUNK_REQUEST, 0, requestBody(hash)), Code.NOT_FOUND);
        assert.equal((await worker.get("/stats")).takedown.deletesPending, 1);
        await client.store(chunk);
        assert.ok((await client.get(hash)).equals(chunk));
        const { takedown } = await worker.get("/stats");
        assert.equal(takedown.deletesPending, 0);
        assert.equal((await kollator(["ls"], environment())).lines.length, 1);
        client.close();
        await worker.stop();
        await rm(folder, { recursive: true, force: true });
        await store.stop();
    });
}

async function startFolder() {
    return { environment: {}, stop: async () => {} };
}

async function startGateway() {
    const rgw = await startRgw();
    return { environment: rgw.environment(), stop: () => rgw.stop() };
}

describeWorkerOn("a folder", startFolder);
describeWorkerOn("Ceph's gateway", startGateway);
testDelay("a folder", startFolder);
testDelay("Ceph's gateway", startGateway);
