// What strangers may send to the DHT port, and what hostile nodes may answer: the worker lives, its
// memory is bounded, and it neither keeps, hands out nor dials what it should not.

import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { announce, lookUp, startNodes } from "../support/dht_swarm.mjs";
import { startWorker, until } from "../support/worker.mjs";

const PACKETS = Number(process.env.KOLLATOR_DHT_FLOOD ?? 20_000);
const MAX_GROWTH_KB = 64 * 1024;

let folder;
let nodes;
let entry;
let worker;
let socket;
let port;

const dht = async () => (await worker.get("/stats")).dht;
const text = (value) => Buffer.concat([Buffer.from(`${value.length}:`), value]);
const send = (packet) => new Promise((sent) => socket.send(packet, port, "127.0.0.1", sent));

async function residentKb() {
    const status = await readFile(`/proc/${worker.pid}/status`, "utf8");
    return Number(/VmRSS:\s+(\d+)/.exec(status)[1]);
}

/** A query as BEP 5 has it, `fields` sorted already. */
function query(name, fields) {
    const parts = [Buffer.from("d1:ad2:id20:"), randomBytes(20)];
    for (const [key, value] of fields) {
        parts.push(text(Buffer.from(key)), Buffer.isBuffer(value) ? text(value) : Buffer.from(`i${value}e`));
    }
    parts.push(Buffer.from("e1:q"), text(Buffer.from(name)), Buffer.from("1:t2:aa1:y1:qe"));
    return Buffer.concat(parts);
}

/** Changes, cuts and repeats bytes. */
function damage(packet) {
    const bytes = Buffer.from(packet);
    for (let i = 0; i < 4; i++) bytes[Math.floor(Math.random() * bytes.length)] = Math.random() * 256;
    return Math.random() < 0.3 ? bytes.subarray(0, 1 + Math.random() * bytes.length) : bytes;
}

async function openSocket() {
    socket?.close();
    socket = createSocket("udp4");
    socket.bind(0, "127.0.0.1");
    await once(socket, "listening");
}

before(async () => {
    folder = await mkdtemp(join(tmpdir(), "kollator-dht-"));
    ({ nodes, entry } = await startNodes(12));
    worker = await startWorker({
        DATA_DIR: folder, DHT_BOOTSTRAP_NODES: entry, DHT_PORT: "0", DHT_ALLOW_PRIVATE: "1",
    });
    await until("the worker joins", async () => (await dht()).network.contacts >= 5);
    [port] = (await dht()).ports;
    await openSocket();
});
after(async () => {
    socket?.close();
    if (worker) assert.equal(await worker.stop(), 0);
    for (const node of nodes ?? []) node.destroy();
    if (folder) await rm(folder, { recursive: true, force: true });
});

test("a flood of damaged packets is survived in bounded memory, and look-ups go on", async () => {
    const key = randomBytes(32);
    await announce(nodes[1], key.subarray(0, 20), 31_111);
    const good = [
        query("ping", []),
        query("find_node", [["target", randomBytes(20)]]),
        query("get_peers", [["info_hash", randomBytes(20)]]),
        query("announce_peer", [["info_hash", randomBytes(20)], ["port", 6881], ["token", randomBytes(4)]]),
        Buffer.concat([Buffer.from("d1:rd2:id20:"), randomBytes(20), Buffer.from("5:nodes"),
            text(randomBytes(26 * 40)), Buffer.from("e1:t2:aa1:y1:re")]),
        Buffer.from("d".repeat(1000) + "e".repeat(1000)),
        Buffer.from("l".repeat(1400)),
        Buffer.from("d1:ad2:id99999999999999999999:"),
    ];
    const before = await residentKb();
    for (let i = 0; i < PACKETS; i++) {
        const packet = i % 10 === 0 ? randomBytes(1 + Math.random() * 1400) : damage(good[i % good.length]);
        await send(packet);
    }
    assert.ok(worker.alive());
    const grown = (await residentKb()) - before;
    assert.ok(grown < MAX_GROWTH_KB, `${grown} KB more`);
    await until("a look-up after the flood", async () => {
        const { peers } = await worker.get(`/dht/lookup/${key.toString("hex")}`);
        return peers?.some((peer) => peer.port === 31_111);
    });
});

test("an announcement without a token, or with a wrong one, is not believed", async () => {
    await openSocket(); // late answers to the flood have tokens for other keys
    const key = randomBytes(20);
    const wrong = [["info_hash", key], ["port", 666], ["token", randomBytes(4)]];
    const none = [["info_hash", key], ["port", 666]];
    for (let i = 0; i < 50; i++) {
        await send(query("announce_peer", wrong));
        await send(query("announce_peer", none));
    }
    // The next get_peers is answered after all of them, and gives the token that counts.
    const answered = once(socket, "message");
    await send(query("get_peers", [["info_hash", key]]));
    let [reply] = await answered;
    while (!reply.includes("5:token")) [reply] = await once(socket, "message");
    assert.equal((await worker.get(`/dht/peers/${key.toString("hex")}`)).peers.length, 0);
    assert.ok(!(await lookUp(nodes[2], key)).has("127.0.0.1:666"));

    const at = reply.indexOf("5:token") + 7;
    const length = parseInt(reply.subarray(at).toString("latin1"), 10);
    const from = at + String(length).length + 1;
    const token = reply.subarray(from, from + length);
    await send(query("announce_peer", [["info_hash", key], ["port", 667], ["token", token]]));
    await until("one with the token is", async () =>
        (await worker.get(`/dht/peers/${key.toString("hex")}`)).peers.some((peer) => peer.port === 667));
});

test("a hostile node's values and contacts are cut, and what is no address is not handed out", async () => {
    const key = randomBytes(32);
    let asked = 0;
    const hostile = createSocket("udp4");
    const dialled = createSocket("udp4"); // where it sends us: on loopback, which a test allows
    let dials = 0;
    dialled.on("message", () => dials++);
    for (const each of [hostile, dialled]) {
        each.bind(0, "127.0.0.1");
        await once(each, "listening");
    }
    const values = Buffer.concat(Array.from({ length: 150 }, (_, i) =>
        text([Buffer.from([0, 0, 0, 0, 1, 1]), Buffer.from([224, 0, 0, 1, 1, 1]), Buffer.from([1, 2, 3, i, 0, 0]),
            Buffer.from([9, 9, 9])][i % 4])));
    const id = randomBytes(20);
    hostile.on("message", (message, from) => {
        asked++;
        const at = message.indexOf("1:t");
        const transaction = message.subarray(at + 3, message.indexOf("1:", at + 5) + 0 || at + 7).subarray(0, 4);
        const contact = Buffer.concat([key.subarray(0, 20), Buffer.from([127, 0, 0, 1]),
            Buffer.from([dialled.address().port >> 8, dialled.address().port & 255])]);
        const isGetPeers = message.includes("9:get_peers");
        hostile.send(Buffer.concat([Buffer.from("d1:rd2:id20:"), id, Buffer.from("5:nodes"),
            text(Buffer.concat(Array(8).fill(contact))), Buffer.from("5:token"), text(Buffer.from("tokn")),
            isGetPeers ? Buffer.concat([Buffer.from("6:valuesl"), values, Buffer.from("e")]) : Buffer.alloc(0),
            Buffer.from("e1:t"), transaction, Buffer.from("1:y1:re")]), from.port, from.address);
    });
    // It asks the worker for something, and so gets into its table.
    for (let i = 0; i < 40 && asked < 3; i++) {
        const ping = query("ping", []);
        id.copy(ping, "d1:ad2:id20:".length);
        hostile.send(ping, port, "127.0.0.1");
        await new Promise((go) => setTimeout(go, 100));
    }
    const { peers } = await worker.get(`/dht/lookup/${key.toString("hex")}`);
    const strange = (peers ?? []).filter((peer) =>
        peer.port === 0 || peer.address.startsWith("0.") || peer.address.startsWith("224."));
    assert.deepEqual(strange, []);
    assert.ok(dials < 20, `${dials} packets to the address that was named eight times an answer`);
    assert.ok(worker.alive());
    hostile.close();
    dialled.close();
});

test("a port that is taken is said, and the worker lives", async () => {
    const second = await mkdtemp(join(tmpdir(), "kollator-dht-"));
    const other = await startWorker({
        DATA_DIR: second, DHT_BOOTSTRAP_NODES: entry, DHT_PORT: String(port), DHT_ALLOW_PRIVATE: "1",
    });
    try {
        const check = await until("/health warns", async () => {
            const { checks } = await other.get("/health");
            return checks.dht.status === "warn" && checks.dht.detail.includes("DHT_PORT") && checks.dht;
        });
        assert.match(check.detail, new RegExp(`${port}.*in use`));
        assert.ok(other.alive());
    } finally {
        await other.stop();
        await rm(second, { recursive: true, force: true });
    }
});
