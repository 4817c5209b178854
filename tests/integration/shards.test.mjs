// RTC_SHARDS from outside: every shard serves, and what a worker tells of them is right.

import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { after, test } from "node:test";

import { cleanup } from "node-datachannel";

import { Connection } from "../../bench/load/client.mjs";
import { sha256, startWorker, until } from "../support/worker.mjs";

const SHARDS = 2;
const CONNECTIONS = 8;
const EACH = Array(SHARDS).fill(CONNECTIONS / SHARDS);
/** Fewer than there are: one that is up is pending no more. Some are left for offers that come to nothing. */
const PENDING = 5;
const CHUNK_BYTES = 3 * 1024 * 1024;

after(cleanup);

/** The samples of a metric, by the number of the shard. */
function byShard(metrics, name) {
    const values = [];
    for (const found of metrics.matchAll(new RegExp(`^${name}{shard="(\\d+)"} (\\S+)$`, "gm"))) {
        values[Number(found[1])] = Number(found[2]);
    }
    return values;
}

test("connections spread over the shards, and each carries chunks both ways", async () => {
    const worker = await startWorker({
        RTC_SHARDS: String(SHARDS),
        PENDING_PER_ADDRESS: String(PENDING),
    });
    try {
        const started = await worker.get("/stats");
        assert.equal(started.shards.length, SHARDS);
        assert.equal(new Set(started.shards.map(({ port }) => port)).size, SHARDS);
        assert.equal(started.shards[0].port, Number(new URL(worker.url).port));
        assert.equal(started.directAddresses.length, SHARDS);
        assert.equal(started.candidates.length, SHARDS);
        assert.ok(started.directAddresses[0].includes(`/udp/${started.shards[0].port}/`));

        const connections = [];
        for (let i = 0; i < CONNECTIONS; i++) connections.push(await Connection.open(worker.url));
        await Promise.all(
            connections.map(async (connection) => {
                const chunk = randomBytes(CHUNK_BYTES);
                await connection.store(chunk);
                for (let i = 0; i < 3; i++) {
                    assert.deepEqual(await connection.get(sha256(chunk)), chunk);
                }
            }),
        );

        const { shards, connections: counted } = await worker.get("/stats");
        assert.equal(counted.active, CONNECTIONS);
        assert.deepEqual(shards.map(({ active }) => active), EACH);
        for (const shard of shards) {
            assert.ok(shard.sentBytes > 6 * CHUNK_BYTES, `port ${shard.port} sent its part`);
            assert.ok(shard.receivedBytes > 2 * CHUNK_BYTES, `port ${shard.port} received it`);
        }
        const metrics = await (await fetch(`${worker.url}/metrics`)).text();
        assert.deepEqual(byShard(metrics, "kollator_rtc_shard_connections"), EACH);
        const sent = byShard(metrics, "kollator_rtc_shard_sent_bytes_total");
        const total = Number(/^kollator_rtc_sent_bytes_total (\S+)$/m.exec(metrics)[1]);
        assert.equal(sent[0] + sent[1], total, "the sum is of all shards");

        connections.forEach((connection) => connection.close());
        await until("the connections end", async () => {
            const { connections: left, shards: after } = await worker.get("/stats");
            return left.active === 0 && after.every(({ active }) => active === 0);
        });
    } finally {
        assert.equal(await worker.stop(), 0);
    }
});

test("a worker that is told to end while its shards are busy ends", async () => {
    const worker = await startWorker({ RTC_SHARDS: String(SHARDS) });
    const connections = [];
    for (let i = 0; i < CONNECTIONS; i++) connections.push(await Connection.open(worker.url));
    const chunk = randomBytes(CHUNK_BYTES);
    await connections[0].store(chunk);
    let served = 0;
    const lanes = connections.map(async (connection) => {
        for (;;) {
            await connection.get(sha256(chunk));
            served++;
        }
    });
    // They end when their connections do, which is not told to a request: nobody waits for them.
    lanes.forEach((lane) => lane.catch(() => {}));
    await until("chunks are served", () => served >= 2 * CONNECTIONS);
    assert.equal(await worker.stop(), 0);
    connections.forEach((connection) => connection.close());
});
