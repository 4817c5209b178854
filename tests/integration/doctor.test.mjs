// `kollator doctor` finds the four common problems, and says what to do; and finds none in what is
// well.

import assert from "node:assert/strict";
import { createSocket } from "node:dgram";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { Coturn, password, user } from "../interop/coturn.mjs";
import { kollator } from "../support/cli.mjs";
import { startRgw } from "../support/rgw.mjs";
import { s3 } from "../support/sigv4.mjs";
import { startWorker } from "../support/worker.mjs";

let folder;
let rgw;
let coturn;
let node; // of the DHT
before(async () => {
    folder = await mkdtemp(join(tmpdir(), "kollator-doctor-"));
    rgw = await startRgw();
    coturn = await Coturn.start();
    node = createSocket("udp4");
    node.on("message", (ping, from) => {
        assert.match(ping.toString("latin1"), /^d1:ad2:id20:.{20}e1:q4:ping1:t2:..1:y1:qe$/s);
        node.send(Buffer.from(`d1:rd2:id20:${"n".repeat(20)}e1:t2:kd1:y1:re`), from.port, from.address);
    });
    await new Promise((bound) => node.bind(0, "127.0.0.1", bound));
});
after(async () => {
    node?.close();
    await coturn?.stop();
    await rgw?.stop();
    await rm(folder, { recursive: true, force: true });
});

const wellSettings = () => ({
    HOST: "127.0.0.1", PORT: "0", DATA_DIR: folder, ...rgw.environment(),
    STUN_SERVERS: `stun:127.0.0.1:${coturn.port}`,
    TURN_SERVERS: `turn:${user}:${password}@127.0.0.1:${coturn.port}`,
    DHT_BOOTSTRAP_NODES: `127.0.0.1:${node.address().port}`,
});

async function examine(settings = {}) {
    const result = await kollator(["doctor", "--json"], { ...wellSettings(), ...settings });
    const findings = result.json();
    return { ...result, findings, of: (subject) => findings.filter((found) => found.subject === subject) };
}

/** The first of so many UDP ports in a row that were free a moment ago. */
async function freePorts(count) {
    for (;;) {
        const sockets = [createSocket("udp4")];
        const bind = (socket, port) =>
            new Promise((done) => socket.once("error", () => done(false)).bind(port, "127.0.0.1", () => done(true)));
        await bind(sockets[0], 0);
        const { port } = sockets[0].address();
        let free = port + count <= 65_536;
        for (let i = 1; free && i < count; i++) {
            sockets.push(createSocket("udp4"));
            free = await bind(sockets[i], port + i);
        }
        await Promise.all(sockets.map((socket) => new Promise((closed) => socket.close(closed))));
        if (free) return String(port);
    }
}

/** One subject is at fault, the advice names what to change, and nothing else is at fault. */
async function assertFault(settings, subject, detail, advice) {
    const { code, findings } = await examine(settings);
    assert.equal(code, 1);
    const faults = findings.filter(({ verdict }) => verdict === "fault");
    assert.deepEqual(faults.map((found) => found.subject), [subject], JSON.stringify(findings));
    assert.match(faults[0].detail, detail);
    assert.match(faults[0].advice, advice);
    return faults[0];
}

test("finds nothing where all is well", async () => {
    const { code, findings, stderr } = await examine();
    assert.equal(code, 0, JSON.stringify(findings) + stderr);
    for (const subject of ["store", "cache", "disk", "webrtc", "stun", "turn", "dht"]) {
        assert.ok(findings.some((found) => found.subject === subject && found.verdict === "ok"), subject);
    }
});

test("a store that nobody answers for", async () => {
    await assertFault({ S3_ENDPOINT: "http://127.0.0.1:9" }, "store", /127\.0\.0\.1:9/, /S3_ENDPOINT/);
});

test("credentials that the store refuses, and no secret is printed", async () => {
    const secret = "not-the-secret-of-this-store";
    const fault = await assertFault({ S3_SECRET_KEY: secret }, "store", /./, /S3_SECRET_KEY/);
    assert.ok(!JSON.stringify(fault).includes(secret));
});

test("a bucket that is not there", async () => {
    await assertFault({ S3_BUCKET: "no-such-bucket" }, "store", /./, /S3_BUCKET/);
});

test("writes to the store and leaves nothing there, unless it is told not to", async () => {
    const objects = async () => (await (await s3(rgw, { query: { "list-type": "2" } })).text())
        .match(/<Key>/g)?.length ?? 0;
    const { of } = await examine();
    assert.match(of("store")[0].detail, /written, read and deleted again/);
    assert.equal(await objects(), 0);
    const careful = await kollator(["doctor", "--json", "--read-only"], wellSettings());
    assert.equal(careful.code, 0);
    assert.match(careful.json().find(({ subject }) => subject === "store").detail, /not tried/);
});

test("a bucket that can be read and not written to, or not deleted from", async () => {
    const deny = async (action) => {
        const statement = {
            Effect: "Deny", Principal: "*", Action: action, Resource: `arn:aws:s3:::${rgw.bucket}/*`,
        };
        const body = JSON.stringify({ Version: "2012-10-17", Statement: [statement] });
        const set = await s3(rgw, { method: "PUT", query: { policy: "" }, body });
        assert.ok(set.ok, await set.text());
    };
    try {
        await deny("s3:PutObject");
        const fault = await assertFault({}, "store", /can be read, but not written to/, /s3:PutObject/);
        assert.ok(!JSON.stringify(fault).includes(rgw.secretKey));
        const careful = await kollator(["doctor", "--read-only"], wellSettings());
        assert.equal(careful.code, 0, careful.stdout.toString());
        await deny("s3:DeleteObject");
        const { code, of } = await examine();
        assert.equal(code, 0);
        assert.equal(of("store")[0].verdict, "warning");
        assert.match(of("store")[0].advice, /s3:DeleteObject/);
    } finally {
        await s3(rgw, { method: "DELETE", query: { policy: "" } });
    }
});

test("a folder that cannot be written to", async () => {
    const path = join(folder, "a-file");
    await writeFile(path, "");
    await assertFault({ CACHE_PATH: join(path, "cache") }, "cache", /./, /CACHE_PATH/);
});

test("a cache larger than the disk, and one too small, are warnings", async () => {
    const large = await examine({ CACHE_SIZE_MB: "900000000" });
    assert.equal(large.code, 0);
    assert.equal(large.of("cache")[0].verdict, "warning");
    assert.match(large.of("cache")[0].advice, /the disk cannot hold/);
    const small = await examine({ CACHE_SIZE_MB: "10" });
    assert.equal(small.of("cache")[0].verdict, "warning");
    assert.match(small.of("cache")[0].advice, /CACHE_SIZE_MB should be/);
});

test("a STUN server that does not answer", async () => {
    await assertFault({ STUN_SERVERS: "stun:127.0.0.1:9" }, "stun", /127\.0\.0\.1:9/, /STUN_SERVERS/);
});

test("a TURN server that does not know the password", async () => {
    const TURN_SERVERS = `turn:${user}:wrong@127.0.0.1:${coturn.port}`;
    await assertFault({ TURN_SERVERS }, "turn", /gives no address/, /TURN_SERVERS.*password/);
});

test("DHT nodes that do not answer", async () => {
    await assertFault({ DHT_BOOTSTRAP_NODES: "127.0.0.1:9" }, "dht", /0 of 1/, /DHT_PORT 6881/);
    const some = await examine({ DHT_BOOTSTRAP_NODES: `127.0.0.1:9,127.0.0.1:${node.address().port}` });
    assert.equal(some.of("dht")[0].verdict, "warning");
    const off = await examine({ DHT_BOOTSTRAP_NODES: "127.0.0.1:9", DHT_ENABLED: "false" });
    assert.equal(off.of("dht")[0].verdict, "ok");
});

test("a worker that runs already is spoken to; another program on its port is a fault", async () => {
    const worker = await startWorker();
    const PORT = new URL(worker.url).port;
    const { of } = await examine({ PORT });
    assert.match(of("webrtc")[0].detail, /runs at .* clients of this machine can connect/);
    await worker.stop();
    const other = createSocket("udp4");
    await new Promise((bound) => other.bind(Number(PORT), "127.0.0.1", bound));
    await assertFault({ PORT }, "webrtc", /taken/, /another program/);
    other.close();
});

test("each shard's port is looked at, of a worker that runs and of one that does not", async () => {
    const PORT = await freePorts(3);
    const [second, third] = [Number(PORT) + 1, Number(PORT) + 2];
    const worker = await startWorker({ PORT, RTC_SHARDS: "2" });
    try {
        const { of } = await examine({ PORT, RTC_SHARDS: "2" });
        assert.match(of("webrtc")[1]?.detail ?? "", new RegExp(`at each of UDP ports ${PORT} to ${second}$`));
        const more = { PORT, RTC_SHARDS: "3" };
        await assertFault(more, "webrtc", new RegExp(`UDP port ${third} of the 3`), /RTC_SHARDS/);
    } finally {
        await worker.stop();
    }
    const free = await examine({ PORT, RTC_SHARDS: "3" });
    assert.match(free.of("webrtc")[0].detail, new RegExp(`UDP ports ${PORT} to ${third} can be opened`));
    const other = createSocket("udp4");
    await new Promise((bound) => other.bind(third, "127.0.0.1", bound));
    try {
        const taken = new RegExp(`UDP port ${third}.*cannot be opened`);
        await assertFault({ PORT, RTC_SHARDS: "3" }, "webrtc", taken, /RTC_SHARDS/);
    } finally {
        other.close();
    }
});

test("prints lines for people", async () => {
    const { lines } = await kollator(["doctor"], { ...wellSettings(), DHT_BOOTSTRAP_NODES: "" });
    assert.ok(lines.some((line) => line.startsWith("ok       store   ")), lines.join("\n"));
    assert.ok(lines.some((line) => /^ +-> name nodes/.test(line)));
});
