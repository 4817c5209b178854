// What a worker announces over time: chunks that leave its cache no more, of clients only so much,
// and what cannot be kept up with is told.

import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { after, before, test } from "node:test";
import { cleanup } from "node-datachannel";
import { Connection } from "../../bench/load/client.mjs";
import { Flag } from "../../bench/load/wire.mjs";
import { startNodes } from "../support/dht_swarm.mjs";
import { Code, Type, assertError, startWorker, until } from "../support/worker.mjs";

const NODES = 3;
const SHARD_KEYS = 256;
const CHUNK_BYTES = 50_000;
const TOKEN = "a token of the tests";
const ADMIN = { authorization: `Bearer ${TOKEN}` };

let nodes;
let entry;
let worker;
let client;

const infoHashOf = (hash) => hash.toString("hex").slice(0, 40);
const settings = (more) => ({
    ADMIN_TOKEN: TOKEN, DHT_PORT: "0", DHT_ALLOW_PRIVATE: "1", DHT_BOOTSTRAP_NODES: entry, ...more,
});
const stats = async (of) => (await of.get("/stats"));

/** The info-hashes that a worker's own announcements name from now on, as the other nodes see them. */
function listenFor(of) {
    const port = Number(new URL(of.url).port);
    const heard = new Set();
    for (const node of nodes) {
        node.on("announce", (peer, infoHash) => {
            if (peer.port === port) heard.add(infoHash.toString("hex"));
        });
    }
    return heard;
}

/** Names of the chunks that are cached, as an admin may list them. */
async function cachedAt(of) {
    const response = await fetch(`${of.url}/chunks`, { headers: ADMIN });
    assert.equal(response.status, 200);
    return (await response.json()).chunks.map(({ hash }) => hash);
}

async function storeMany(count, bytes) {
    const hashes = [];
    while (hashes.length < count) {
        const size = Math.min(50, count - hashes.length);
        const stored = Array.from({ length: size }, () => client.store(randomBytes(bytes)));
        hashes.push(...(await Promise.all(stored)));
    }
    return hashes;
}

function announceBody(hashes) {
    const count = Buffer.alloc(2);
    count.writeUInt16BE(hashes.length);
    return Buffer.concat([count, ...hashes]);
}

async function open(more) {
    client?.close();
    await worker?.stop();
    worker = await startWorker(settings(more));
    await until("the worker joins", async () => (await stats(worker)).dht.network.contacts > 0);
    client = await Connection.open(worker.url);
}

before(async () => {
    ({ nodes, entry } = await startNodes(NODES));
});
after(async () => {
    client?.close();
    cleanup();
    await worker?.stop();
    for (const node of nodes ?? []) node.destroy();
});

test("chunks that a full cache gives up are announced no more", async () => {
    await open({
        CACHE_SIZE_MB: "1", MAX_CHUNK_BYTES: String(2 * CHUNK_BYTES), CACHE_POLICY: "lru",
        // What these nodes answer within 2 s on a busy machine, too.
        DHT_ANNOUNCE_PACKETS_PER_SECOND: "500",
    });
    const stored = await storeMany(40, CHUNK_BYTES);
    await until("the announcer has what is cached, and only that", async () => {
        const { cache, dht } = await stats(worker);
        return cache.chunks < stored.length && dht.announcer.keys === SHARD_KEYS + cache.chunks &&
            dht.announcer.due === 0;
    });
    const heard = listenFor(worker);
    const cached = new Set((await cachedAt(worker)).map((hash) => hash.slice(0, 40)));
    const response = await fetch(`${worker.url}/dht/announce`, { method: "POST", headers: ADMIN });
    assert.equal((await response.json()).announced, SHARD_KEYS + cached.size);
    // Where a node took over 2 s to answer, the worker itself would try again in half a minute.
    await until("all that is cached is announced again", async () => {
        const { body } = await client.exchange(Type.DHT_ANNOUNCE, 0, announceBody(stored));
        assert.equal(body.readUInt16BE(0), cached.size, "what is cached is accepted");
        await new Promise((go) => setTimeout(go, 500));
        return [...cached].every((key) => heard.has(key)) && heard.size > SHARD_KEYS / 2;
    });
    for (const hash of stored) {
        if (!cached.has(infoHashOf(hash))) assert.ok(!heard.has(infoHashOf(hash)), hash.toString("hex"));
    }

    const cleared = await fetch(`${worker.url}/cache/clear`, { method: "POST", headers: ADMIN });
    assert.equal(cleared.status, 200);
    await until("a cleared cache's are withdrawn", async () =>
        (await stats(worker)).dht.announcer.keys === SHARD_KEYS);
    const { body } = await client.exchange(Type.DHT_ANNOUNCE, 0, announceBody(stored));
    assert.equal(body.readUInt16BE(0), 0, "nor are they accepted from a client");
});

test("a client has so many names announced, and is told when it may come back", async () => {
    const greedy = await Connection.open(worker.url);
    const names = Array.from({ length: 4000 }, () => randomBytes(32));
    for (let i = 0; i < 2; i++) {
        const { flags } = await greedy.exchange(Type.DHT_ANNOUNCE, 0, announceBody(names));
        assert.ok(!(flags & Flag.ERROR));
    }
    const refused = await greedy.exchange(Type.DHT_ANNOUNCE, 0, announceBody(names));
    assertError(refused, Code.BUSY);
    const waitMs = refused.body.readUInt32BE(2);
    assert.ok(waitMs > 1000 && waitMs <= 4000 / 50 * 1000, `${waitMs} ms`);
    const another = await Connection.open(worker.url);
    const { flags } = await another.exchange(Type.DHT_ANNOUNCE, 0, announceBody(names));
    assert.ok(!(flags & Flag.ERROR), "each client has a limit of its own");
    greedy.close();
    another.close();
});

test("what cannot be announced in time is told at once", async () => {
    const check = async () => (await worker.get("/health")).checks.dht;
    await until("all is well", async () => (await check()).status === "ok");
    await open({ DHT_ANNOUNCE_PACKETS_PER_SECOND: "10" });
    assert.equal((await check()).status, "ok", (await check()).detail);
    await storeMany(620, 10);
    await until("all are keys", async () => (await stats(worker)).dht.announcer.keys === 876);
    const { status, detail } = await check();
    assert.equal(status, "warn");
    assert.match(detail, /876 keys .* takes 11 packets a second, .* limit is 10: raise DHT_ANNOUNCE_PACKETS/);
    const { announcer } = (await stats(worker)).dht;
    assert.ok(announcer.due > 600, `${announcer.due} due`);
    const metrics = await (await fetch(`${worker.url}/metrics`)).text();
    assert.match(metrics, /^kollator_dht_packets_needed_per_second 10\.5/m);
    assert.ok(Number(/^kollator_dht_keys_due (\d+)$/m.exec(metrics)[1]) > 600);
});
