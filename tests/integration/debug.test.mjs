// DEBUG: the same choice as the npm package `debug` makes, and never a secret.

import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createInterface } from "node:readline";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import debug from "debug";
import { cleanup } from "node-datachannel";
import { Connection } from "../../bench/load/client.mjs";
import { startRgw } from "../support/rgw.mjs";
import { until } from "../support/worker.mjs";

const CASES = Number(process.env.KOLLATOR_DEBUG_CASES ?? 20_000);
const NAMESPACES = ["worker", "cache", "s3", "dht", "rtc", "session", "cluster", "front"]
    .map((name) => `kollator:${name}`);

after(() => cleanup());

/** What our own matcher says to each pair. */
function ours(pairs) {
    const input = pairs.map(([filter, name]) => `${Buffer.from(filter).toString("hex")}\n${name}\n`);
    const { status, stdout } = spawnSync(process.env.KOLLATOR_DEBUG_FILTER, {
        input: input.join(""), maxBuffer: 1 << 28,
    });
    assert.equal(status, 0);
    return stdout.toString().trimEnd().split("\n").map((line) => line === "1");
}

function theirs(pairs) {
    let last;
    return pairs.map(([filter, name]) => {
        if (filter !== last) debug.enable(filter);
        last = filter;
        return debug.enabled(name);
    });
}

function assertSame(pairs) {
    const [a, b] = [ours(pairs), theirs(pairs)];
    pairs.forEach(([filter, name], i) =>
        assert.equal(a[i], b[i], `DEBUG=${JSON.stringify(filter)} for ${name}: debug says ${b[i]}`));
    return a;
}

test("filters people write choose as npm's debug does", () => {
    const filters = [
        "", "*", "kollator:*", "kollator:rtc", "kollator:rtc,kollator:s3", "kollator:rtc kollator:s3",
        "kollator:*,-kollator:rtc", "-kollator:rtc,kollator:*", "*,-*:rtc,-*:s3", "-kollator:*", "kollator",
        "kollator:", "kollator:r*", "*rtc", "*:*", "**", "kollator:**", "k*r:*c", "-*,*", " kollator:rtc ",
        "kollator:rtc,,kollator:s3", "kollator:rtc \t\n kollator:s3", "-", "--kollator:rtc", ",", " ",
        "KOLLATOR:*", "kollator:se*on,kollator:c*e", "express:*,kollator:dht", "kollator:.*", "kollator:[rtc]",
        "kollator:rtc;kollator:s3", "*-kollator:rtc", "kollator:*:*",
    ];
    const chosen = assertSame(filters.flatMap((filter) => NAMESPACES.map((name) => [filter, name])));
    assert.ok(chosen.includes(true) && chosen.includes(false));
});

test(`and so do ${CASES} that nobody writes`, () => {
    let seed = Number(process.env.KOLLATOR_SEED ?? 20261122);
    console.log(`KOLLATOR_SEED=${seed}`);
    const below = (limit) => {
        seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
        return Math.floor((seed / 2 ** 32) * limit);
    };
    const pieces = ["*", "*", "-", ",", " ", "  ", "\t", "kollator:", "kollator", ":", "rtc", "s3", "c", "r",
        "session", "se", "on", "front", ".", "+", "(", "a"];
    const word = () => Array.from({ length: 1 + below(7) }, () => pieces[below(pieces.length)]).join("");
    const pairs = Array.from({ length: CASES }, () => [word(), NAMESPACES[below(NAMESPACES.length)]]);
    const chosen = assertSame(pairs);
    const share = chosen.filter(Boolean).length / CASES;
    assert.ok(share > 0.05 && share < 0.95, `${share} of the cases are chosen`);
});

/** Runs a front and a worker that knows secrets; gives all that both wrote to standard error. */
async function logsOf(filter, level, use) {
    const folder = await mkdtemp(join(tmpdir(), "kollator-debug-"));
    const rgw = await startRgw();
    const secrets = {
        ADMIN_TOKEN: `admin-${randomBytes(12).toString("hex")}`,
        TURN_SECRET: `turn-${randomBytes(12).toString("hex")}`,
        TURN_SERVERS: `turn:user:${randomBytes(12).toString("hex")}@127.0.0.1:9`,
    };
    const key = randomBytes(32);
    const keyPath = join(folder, "key");
    await writeFile(keyPath, key, { mode: 0o600 });
    const child = spawn(process.env.KOLLATOR_BIN, ["dev"], {
        stdio: ["ignore", "pipe", "pipe"],
        env: {
            PATH: process.env.PATH, HOST: "127.0.0.1", PORT: "0", FRONT_PORT: "0", DHT_PORT: "0",
            FRONT_HOST: "127.0.0.1", DATA_DIR: join(folder, "data"), WORKER_SHARED_KEY_PATH: keyPath,
            DHT_ENABLED: "true", DHT_BOOTSTRAP_NODES: "127.0.0.1:9", DHT_ALLOW_PRIVATE: "true",
            LOG_LEVEL: level, DEBUG: filter, ...secrets, ...rgw.environment(),
        },
    });
    let logs = "";
    child.stderr.on("data", (bytes) => (logs += bytes));
    const exited = once(child, "exit");
    let url;
    for await (const line of createInterface({ input: child.stdout })) {
        url ??= /Worker: +(http:\/\/\S+)/.exec(line)?.[1];
        if (line.includes("Web page")) break;
    }
    child.stdout.resume();
    try {
        await use(url.replace(/\/\/[^:/]+/, "//127.0.0.1"), secrets, () => logs);
    } finally {
        child.kill("SIGTERM");
        await exited;
        await rgw.stop();
        await rm(folder, { recursive: true, force: true });
    }
    const hidden = [secrets.ADMIN_TOKEN, secrets.TURN_SECRET, secrets.TURN_SERVERS.split(/[:@]/)[2],
        rgw.secretKey, key.toString("hex"), key.toString("base64")];
    return { logs, hidden };
}

const namesIn = (logs) => new Set([...logs.matchAll(/^\S+ \S+ ([a-z0-9]+): /gm)].map((found) => found[1]));

test("DEBUG=kollator:* logs every layer, and no secret", async () => {
    const { logs, hidden } = await logsOf("kollator:*", "off", async (url, secrets, soFar) => {
        const client = await Connection.open(url);
        const hash = await client.store(randomBytes(100_000));
        await client.get(hash);
        for (const token of [secrets.ADMIN_TOKEN, "a wrong one"]) {
            await fetch(`${url}/chunks`, { headers: { Authorization: `Bearer ${token}` } });
        }
        client.close();
        await until("every layer speaks", () => {
            const names = namesIn(soFar());
            return NAMESPACES.every((name) => names.has(name.slice("kollator:".length)));
        });
    });
    for (const secret of hidden) {
        assert.ok(secret.length > 10);
        assert.ok(!logs.includes(secret), "a secret stands in the log");
    }
});

test("DEBUG chooses among the layers, whatever LOG_LEVEL says", async () => {
    const { logs } = await logsOf("kollator:*,-kollator:cache kollator:none", "off", async (url, _, soFar) => {
        await until("the front speaks", () => namesIn(soFar()).has("front"));
    });
    assert.ok(!namesIn(logs).has("cache"));
    const one = await logsOf("kollator:cache", "off", async (url, _, soFar) => {
        await until("the cache speaks", () => namesIn(soFar()).has("cache"));
    });
    assert.deepEqual([...namesIn(one.logs)], ["cache"]);
});
