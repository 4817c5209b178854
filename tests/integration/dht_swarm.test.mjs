// A worker in a swarm of DHT nodes on loopback, half of npm's bittorrent-dht and half of libtorrent,
// with aria2 beside: who finds whom, and what is left when a third of them is gone.

import assert from "node:assert/strict";
import { execFile, spawn } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import { appendFile, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { promisify } from "node:util";
import { cleanup } from "node-datachannel";
import { Connection } from "../../bench/load/client.mjs";
import { announce, lookUp, startLibtorrentNodes, startNodes } from "../support/dht_swarm.mjs";
import { Type, startWorker, storeBody, until } from "../support/worker.mjs";

const JAVASCRIPT_NODES = 25;
const LIBTORRENT_NODES = 25;
const TOKEN = "a token of the tests";

let folder;
let nodes;
let entry;
let libtorrent;
let worker;
let client;
let self; // where the worker's clients begin
let chunk; // a hash of each kind, 32 bytes
let torrent;

const infoHash = (hash) => hash.subarray(0, 20);
const settings = () => ({
    DATA_DIR: folder, ADMIN_TOKEN: TOKEN, DHT_ENABLED: "true", DHT_PORT: "0", DHT_ALLOW_PRIVATE: "1",
    DENYLIST_PATH: join(folder, "denylist"),
});
const joined = (count) => until("the worker joins", async () =>
    (await worker.get("/stats")).dht.network.contacts >= count);
const execute = promisify(execFile);
const workerFinds = async (hash) =>
    (await worker.get(`/dht/lookup/${hash.toString("hex")}`)).peers?.map((p) => `${p.address}:${p.port}`) ?? [];

function makeTorrent(name) {
    const bytes = (text) => `${Buffer.byteLength(text)}:${text}`;
    const info = `d${bytes("file tree")}d${bytes(name)}d0:d${bytes("length")}i0eeee` +
        `${bytes("meta version")}i2e${bytes("name")}${bytes(name)}${bytes("piece length")}i16384ee`;
    return {
        metainfo: Buffer.from(`d${bytes("info")}${info}e`),
        hash: createHash("sha256").update(info).digest(),
    };
}

before(async () => {
    folder = await mkdtemp(join(tmpdir(), "kollator-dht-"));
    await appendFile(join(folder, "denylist"), "");
    ({ nodes, entry } = await startNodes(JAVASCRIPT_NODES));
    libtorrent = await startLibtorrentNodes(LIBTORRENT_NODES, entry);
    await until("libtorrent's nodes join", async () =>
        (await libtorrent.contacts()).every((count) => count >= 10));
    worker = await startWorker({ ...settings(), DHT_BOOTSTRAP_NODES: entry });
    self = `127.0.0.1:${new URL(worker.url).port}`;
    await joined(10);
    client = await Connection.open(worker.url);
});
after(async () => {
    client?.close();
    cleanup();
    if (worker) await worker.stop();
    await libtorrent?.stop();
    for (const node of nodes ?? []) if (!node.destroyed) node.destroy();
    if (folder) await rm(folder, { recursive: true, force: true });
});

test("what the worker stores is found by others, chunks and torrents", async () => {
    chunk = await client.store(randomBytes(5000));
    const made = makeTorrent("found.bin");
    torrent = made.hash;
    const body = storeBody(torrent, made.metainfo.length, 0, made.metainfo);
    await client.exchange(Type.METADATA_STORE, 0, body);
    // Who looked up meanwhile would keep the nodes from answering the announcer.
    await until("all is announced", async () => {
        const { announcer } = (await worker.get("/stats")).dht;
        return announcer.due === 0 && announcer.keys === 256 + 2;
    });
    for (const hash of [chunk, torrent]) {
        await until("a JavaScript node finds it", async () =>
            (await lookUp(nodes[7], infoHash(hash))).has(self));
        await until("a libtorrent node finds it", async () =>
            (await libtorrent.find(7, infoHash(hash))).includes(self));
    }
});

test("what others announce is found by the worker, and heard by it", async () => {
    const byJavaScript = randomBytes(32);
    const byLibtorrent = randomBytes(32);
    await announce(nodes[3], infoHash(byJavaScript), 30_003);
    await libtorrent.announce(4, infoHash(byLibtorrent));
    await until("the JavaScript node's", async () => (await workerFinds(byJavaScript)).includes("127.0.0.1:30003"));
    // A look-up that came too early is remembered for 10 s.
    await until("the libtorrent node's", async () => (await workerFinds(byLibtorrent)).includes("127.0.0.1:20004"));
    assert.equal((await worker.get(`/dht/peers/${"00".repeat(20)}`)).peers.length, 0);
    // Of so many keys the worker's node is near to some.
    await until("the worker hears", async () => {
        const key = randomBytes(20);
        await announce(nodes[5], key, 30_005);
        const { peers } = await worker.get(`/dht/peers/${key.toString("hex")}`);
        return peers.some(({ port }) => port === 30_005);
    });
});

test("a chunk without a record of its own is found by its shard", async () => {
    const hash = randomBytes(32);
    assert.ok((await until("the shard keys are announced", async () => {
        const { announcer, announcements } = (await worker.get("/stats")).dht;
        return announcer.due === 0 && announcements >= 256 + 2 && announcer;
    })).keys === 256 + 2);
    const shard = createHash("sha1").update("kollator").update(hash.subarray(0, 1)).digest();
    assert.ok((await lookUp(nodes[9], shard)).has(self));
    assert.deepEqual(await workerFinds(hash), [self]);
});

test("clients look up and have announced over their data channel, and not without end", async () => {
    const { body } = await client.exchange(Type.DHT_LOOKUP, 0, chunk);
    assert.ok(body.readUInt16BE(0) >= 1);
    assert.equal(body.readUInt8(2), 4);
    assert.equal(`${[...body.subarray(3, 7)].join(".")}:${body.readUInt16BE(7)}`, self);
    const count = Buffer.from([0, 2]);
    const answer = await client.exchange(Type.DHT_ANNOUNCE, 0, Buffer.concat([count, chunk, randomBytes(32)]));
    assert.equal(answer.body.readUInt16BE(0), 1, "what it does not hold is not announced");
    const floods = await Promise.all(
        Array.from({ length: 70 }, () => client.exchange(Type.DHT_LOOKUP, 0, chunk)));
    const busy = floods.filter(({ flags }) => flags & 8);
    assert.ok(busy.length > 0 && busy.length < 70);
    for (const { body: error } of busy) {
        assert.equal(error.readUInt16BE(0), 5, error.subarray(6).toString());
        assert.ok(error.readUInt32BE(2) > 0, "BUSY says when to come back");
    }
});

/** Answers of the worker to look-ups since its start, as it measured them: all, and those in time. */
async function answersFrom(source, seconds) {
    const metrics = await (await fetch(`${worker.url}/metrics`)).text();
    const count = (bound) => Number(new RegExp(
        `^kollator_dht_lookup_seconds_bucket\\{source="${source}",le="${bound}"\\} (\\d+)$`, "m").exec(metrics)[1]);
    return { all: count("\\+Inf"), inTime: count(seconds) };
}

test("an answer from the cache takes the worker less than 10 ms", async () => {
    await workerFinds(chunk);
    const before = await answersFrom("cache", "0.01");
    for (let i = 0; i < 100; i++) await workerFinds(chunk);
    const after = await answersFrom("cache", "0.01");
    assert.equal(after.all - before.all, 100);
    assert.ok(after.inTime - before.inTime >= 50, `${after.inTime - before.inTime} of 100`);
});

test("aria2 finds the worker under the magnet link's hash, and the worker finds aria2", async () => {
    const port = 21_000 + Math.floor(Math.random() * 9000);
    const hash = infoHash(torrent).toString("hex");
    const downloads = await mkdtemp(join(tmpdir(), "kollator-aria2-"));
    const aria2 = spawn("aria2c", [
        "--no-conf", "--enable-dht=true", `--dht-entry-point=${entry}`, `--dht-listen-port=${port}`,
        `--listen-port=${port}`, `--dht-file-path=${downloads}/dht.dat`, "--interface=127.0.0.1",
        "--enable-dht6=false", "--bt-enable-lpd=false", "--enable-peer-exchange=false",
        "--log=-", "--log-level=debug", `--dir=${downloads}`, `magnet:?xt=urn:btih:${hash}`,
    ], { stdio: ["ignore", "pipe", "ignore"] });
    let log = "";
    aria2.stdout.on("data", (text) => (log += text));
    try {
        await until("aria2 hears of the worker", () => log.includes(`Adding peer ${self}`));
        await until("somebody hears of aria2", async () =>
            (await lookUp(nodes[5], infoHash(torrent))).has(`127.0.0.1:${port}`) && true);
    } finally {
        aria2.kill("SIGKILL");
        await once(aria2, "exit");
        await rm(downloads, { recursive: true, force: true });
    }
});

test("kollator dht status tells how the worker stands", async () => {
    const { stdout } = await execute(process.env.KOLLATOR_BIN, ["dht", "status", "--url", worker.url]);
    assert.match(stdout, /^node \(IPv4\) +[0-9a-f]{40}, \d+ nodes/m);
    assert.match(stdout, /^contacts +\d+, \d+ good, \d+ stale$/m);
    assert.match(stdout, /^network +about [1-9]\d* nodes, round trip \d+\.\d ms \(99 %: \d+\.\d ms\)$/m);
    assert.match(stdout, /^announced +258 keys, /m);
    assert.match(stdout, /^look-ups .* success rate (100|9\d)\.\d %/m);
    const metrics = await (await fetch(`${worker.url}/metrics`)).text();
    assert.match(metrics, /^kollator_dht_keys 258$/m);
    assert.match(metrics, /^kollator_dht_contacts [1-9]\d*$/m);
    assert.match(metrics, /^kollator_dht_contacts_(good|stale) \d+$/m);
    assert.match(metrics, /^kollator_dht_network_nodes [1-9]/m);
    assert.match(metrics, /^kollator_dht_lookup_success_ratio (1|0\.9\d*)$/m);
    assert.match(metrics, /^kollator_dht_rtt_p99_seconds [0-9.e-]+$/m);
    assert.equal((await worker.get("/health")).checks.dht.status, "ok");
});

test("what is deleted is announced no more", async () => {
    const before = (await worker.get("/stats")).dht.announcer.keys;
    const response = await fetch(`${worker.url}/chunks/${chunk.toString("hex")}`, {
        method: "DELETE", headers: { authorization: `Bearer ${TOKEN}` },
    });
    assert.equal(response.status, 200);
    await until("it leaves the announcer", async () =>
        (await worker.get("/stats")).dht.announcer.keys === before - 1);
});

test("what is denied is announced no more", async () => {
    await appendFile(join(folder, "denylist"), `${torrent.toString("hex")}\n`);
    await until("it leaves the announcer", async () =>
        (await worker.get("/stats")).dht.announcer.keys === 256);
    const { body } = await client.exchange(Type.DHT_ANNOUNCE, 0, Buffer.concat([Buffer.from([0, 1]), torrent]));
    assert.equal(body.readUInt16BE(0), 0, "nor is it accepted");
});

test("POST /dht/announce is the admin's, and once a minute", async () => {
    const post = (headers) => fetch(`${worker.url}/dht/announce`, { method: "POST", headers });
    assert.equal((await post({})).status, 401);
    const headers = { authorization: `Bearer ${TOKEN}` };
    const response = await post(headers);
    assert.equal(response.status, 200);
    assert.equal((await response.json()).announced, 256);
    assert.equal((await post(headers)).status, 503);
});

test("with a third of the nodes gone, at least 95 % of the look-ups succeed", async () => {
    const hashes = Array.from({ length: 60 }, () => randomBytes(32));
    // Side by side: where aria2 was, each of them waits for 2 s.
    await Promise.all(nodes.slice(0, 10).map(async (node, n) => {
        for (let i = n; i < hashes.length; i += 10) await announce(node, infoHash(hashes[i]), 31_000 + i);
    }));
    for (let i = 16; i < JAVASCRIPT_NODES; i++) nodes[i].destroy();
    for (let i = 18; i < LIBTORRENT_NODES; i++) await libtorrent.kill(i);
    // Where all four that are asked first are dead, the shard's answer comes before the chunk's own
    // record; whoever asks again has it.
    let found = 0;
    for (const [i, hash] of hashes.entries()) {
        const deadline = performance.now() + 5000;
        let has = false;
        while (!has && performance.now() < deadline) {
            has = (await workerFinds(hash)).includes(`127.0.0.1:${31_000 + i}`);
            if (!has) await new Promise((go) => setTimeout(go, 100));
        }
        if (has) found++;
    }
    assert.ok(found >= 57, `${found} of 60`);
});

test("a worker that starts again with its state finds its place in 5 s, without bootstrap nodes", async () => {
    const tables = async () => (await worker.get("/stats")).dht.network.tables;
    const [{ nodeId }] = await tables();
    client.close();
    await worker.stop();
    worker = await startWorker(settings());
    const began = performance.now();
    await joined(5);
    const tookMs = performance.now() - began;
    assert.ok(tookMs < 5000, `${tookMs} ms`);
    assert.equal((await tables())[0].nodeId, nodeId);
});
