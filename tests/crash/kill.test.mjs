// Kill -9 at random moments of stores and uploads, over and over: what was acknowledged is there
// after the restart, byte for byte, and the worker is ready at once.
//
// KOLLATOR_CRASH_CYCLES sets the number of kills (100), KOLLATOR_SEED their moments and contents.
// A quarter of them is done with the S3 server of the tests behind the worker, the rest with a
// folder; half of each under either write policy.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";

import { cleanup } from "node-datachannel";

import { Connection } from "../../bench/load/client.mjs";
import { startRgw } from "../support/rgw.mjs";
import { PATIENCE_MS, Worker, within } from "./worker.mjs";

const CYCLES = Number(process.env.KOLLATOR_CRASH_CYCLES ?? 100);
const SEED = process.env.KOLLATOR_SEED ?? "20260101";
const CACHED_CHUNKS = 10_000;
const LANES = 6; // stores at once
const MAX_STORE_MS = 250; // from the first store to the kill
const OLDER_READ = 8; // chunks of earlier cycles that each restart is asked for

/** Repeatable numbers in [0, 1): SHA-256 in counter mode. */
function seededRandom(seed) {
    let counter = 0;
    return () =>
        createHash("sha256").update(`${seed}/${counter++}`).digest().readUInt32BE(0) / 2 ** 32;
}

/** Mostly small, so that a cycle has many; some in several fragments. */
function makeChunk(random, name) {
    const kind = random();
    const largest = kind < 0.7 ? 4_000 : kind < 0.97 ? 150_000 : 1_000_000;
    const chunk = Buffer.alloc(1 + Math.floor(random() * largest));
    const block = createHash("sha512").update(name).digest();
    for (let at = 0; at < chunk.length; at += block.length) block.copy(chunk, at);
    return chunk;
}

const hashOf = (bytes) => createHash("sha256").update(bytes).digest();

/** Runs `work` for each, LANES at once. */
async function inLanes(items, work) {
    const left = items.values();
    const lane = async () => {
        for (const item of left) await work(item);
    };
    await Promise.all(Array.from({ length: LANES }, lane));
}

/** One data folder that worker after worker is killed on. */
class Campaign {
    acknowledged = []; // hashes, in order
    recent = []; // of the last cycle
    unanswered = [];
    readyMs = [];
    pendingAtStart = 0;
    #stored = 0;

    /** `gateway`: the S3 server, which half of the kills find hanging, so that a backlog is left. */
    constructor(name, policy, environment, gateway) {
        this.name = name;
        this.gateway = policy === "back" ? gateway : undefined;
        this.random = seededRandom(`${SEED}/${name}`);
        this.folder = mkdtempSync(join(tmpdir(), "kollator-crash-"));
        this.environment = {
            DATA_DIR: this.folder,
            HOST: "127.0.0.1",
            PORT: "0",
            CACHE_SIZE_MB: "60",
            WRITE_POLICY: policy,
            ...environment,
        };
        execFileSync(process.env.KOLLATOR_FILL_CACHE, [
            join(this.folder, "cache"),
            String(CACHED_CHUNKS),
        ]);
    }

    async cycle() {
        const worker = await Worker.start(this.environment);
        this.readyMs.push(worker.readyMs);
        this.pendingAtStart += (await worker.stats()).backlog.objects;
        const connection = await Connection.open(worker.url);
        await this.#verify(connection, this.#sample());
        const hangs = this.gateway && this.random() < 0.5;
        if (hangs) await this.gateway.pause();
        await this.#storeUntilKilled(worker, connection);
        if (hangs) await this.gateway.resume();
    }

    #sample() {
        const older = Array.from({ length: this.acknowledged.length ? OLDER_READ : 0 }, () => {
            return this.acknowledged[Math.floor(this.random() * this.acknowledged.length)];
        });
        return [...this.recent, ...older];
    }

    async #verify(connection, hashes) {
        await inLanes(hashes, async (hash) => {
            const bytes = await connection.get(hash).catch((error) => {
                throw new Error(`${this.name}: ${hash.toString("hex")} is lost: ${error.message}`);
            });
            assert.deepEqual(hashOf(bytes), hash, `${this.name}: wrong bytes`);
        });
        // What was not acknowledged may be there or not; where it is, it is right.
        await inLanes(this.unanswered, async (hash) => {
            const bytes = await connection.get(hash).catch((error) => {
                assert.match(error.message, /^error 2:/, `${this.name}: not NOT_FOUND`);
            });
            if (bytes) assert.deepEqual(hashOf(bytes), hash, `${this.name}: wrong bytes`);
        });
    }

    async #storeUntilKilled(worker, connection) {
        this.recent = [];
        this.unanswered = [];
        const faults = [];
        let killed = false;
        const kill = () => {
            killed = true;
            worker.child.kill("SIGKILL");
            connection.close();
        };
        // By time, or a moment after so many answers, which is where the next steps are.
        const afterAnswers = this.random() < 0.5 ? Math.floor(this.random() * 20) : Infinity;
        const timer = setTimeout(kill, this.random() * MAX_STORE_MS);
        const lane = async () => {
            while (!killed) {
                const chunk = makeChunk(this.random, `${SEED}/${this.name}/${this.#stored++}`);
                const hash = hashOf(chunk);
                try {
                    await connection.store(chunk);
                    this.recent.push(hash);
                    if (this.recent.length > afterAnswers && !killed) kill();
                } catch (error) {
                    if (!killed) faults.push(error.message);
                    this.unanswered.push(hash);
                    return;
                }
            }
        };
        await Promise.all(Array.from({ length: LANES }, lane));
        clearTimeout(timer);
        if (!killed) kill();
        await within(worker.exited, "kill");
        assert.deepEqual(faults, [], `${this.name}: a store failed before the kill`);
        this.acknowledged.push(...this.recent);
    }

    /** Every chunk ever acknowledged, after a last restart; then from the object store alone. */
    async finish() {
        const worker = await Worker.start(this.environment);
        const connection = await Connection.open(worker.url);
        await this.#verify(connection, this.acknowledged);
        const deadline = performance.now() + PATIENCE_MS;
        while ((await worker.stats()).backlog.objects > 0) {
            assert.ok(performance.now() < deadline, `${this.name}: the backlog does not go out`);
            await new Promise((resolve) => setTimeout(resolve, 20));
        }
        connection.close();
        assert.equal(await worker.end("SIGTERM"), 0);
        await this.#verifyObjectStore();
    }

    async #verifyObjectStore() {
        if (!this.environment.S3_ENDPOINT) {
            for (const hash of this.acknowledged) {
                const name = hash.toString("hex");
                const path = join(this.folder, "store", "chunks", name.slice(0, 2), name);
                assert.deepEqual(hashOf(readFileSync(path)), hash, `${this.name}: ${path}`);
            }
            return;
        }
        const folder = mkdtempSync(join(tmpdir(), "kollator-crash-"));
        const worker = await Worker.start({
            ...this.environment,
            DATA_DIR: folder,
            WRITE_POLICY: "through",
        });
        const connection = await Connection.open(worker.url);
        await this.#verify(connection, this.acknowledged);
        connection.close();
        await worker.end("SIGTERM");
        rmSync(folder, { recursive: true, force: true });
    }

    remove() {
        rmSync(this.folder, { recursive: true, force: true });
    }
}

function percentile(values, share) {
    const sorted = [...values].sort((a, b) => a - b);
    return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))];
}

const campaigns = [];
let rgw;

after(async () => {
    Worker.killAll(); // of a test that failed
    campaigns.forEach((one) => one.remove());
    await rgw?.stop();
    cleanup();
});

test(`a worker that is killed ${CYCLES} times keeps what it acknowledged`, async () => {
    rgw = await startRgw();
    console.log(`seed=${SEED} cycles=${CYCLES}`);
    for (const [store, environment, share, gateway] of [
        ["folder", {}, 0.75],
        ["s3", rgw.environment(), 0.25, rgw],
    ]) {
        for (const policy of ["through", "back"]) {
            const campaign = new Campaign(`${store}-${policy}`, policy, environment, gateway);
            campaigns.push(campaign);
            const cycles = Math.max(1, Math.round((CYCLES * share) / 2));
            for (let i = 1; i <= cycles; i++) {
                await campaign.cycle();
                if (i % 50 === 0) console.log(`${campaign.name}: ${i} of ${cycles} cycles`);
            }
            await campaign.finish();
            console.log(
                `${campaign.name}: cycles=${cycles} acknowledged=${campaign.acknowledged.length} ` +
                    `pending_at_starts=${campaign.pendingAtStart} missing=0 wrong=0`,
            );
        }
    }
    const ready = campaigns.flatMap((one) => one.readyMs);
    const line = [0.5, 0.99, 1].map((share) => percentile(ready, share).toFixed(0));
    console.log(
        `ready_ms with ${CACHED_CHUNKS} cached chunks: p50=${line[0]} p99=${line[1]} max=${line[2]}`,
    );
    assert.ok(percentile(ready, 1) < PATIENCE_MS);
    assert.ok(campaigns.reduce((sum, one) => sum + one.acknowledged.length, 0) > CYCLES);
});
