// Whole workers, fronts and command lines behind NATs: who reaches whom, and by which way. The
// routers count what passes, so that nobody has to be believed.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { once } from "node:events";
import { readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { after, before, describe, test } from "node:test";

import { scratchFolder, writeRandomFile } from "../e2e/support/files.mjs";
import { kollator } from "../support/cli.mjs";
import { INTERNET, NatLab, TURNS_PORT, TURN_PORT, whyNoLab } from "../support/nat_lab.mjs";
import { run, sha256, startWorker, until } from "../support/worker.mjs";
import { Coturn, password, secret, user } from "./coturn.mjs";

const FILE_BYTES = 3_000_000;
const FIRST_FRONT_PORT = 8100;

const STUN = `stun:${INTERNET}:${TURN_PORT}`;
const credentials = `${user}:${password}@${INTERNET}`;
const TURN = {
    udp: `turn:${credentials}:${TURN_PORT}`,
    tcp: `turn:${credentials}:${TURN_PORT}?transport=tcp`,
    tls: `turns:${credentials}:${TURNS_PORT}`,
};

// Two NATs, who has a relay and how it is reached, and by which way the bytes go at either router.
// All have a STUN server.
const table = [
    ["full cone", "full cone", {}, "direct", "direct"],
    ["full cone", "symmetric", {}, "direct", "direct"],
    ["symmetric", "full cone", {}, "direct", "direct"],
    ["port-restricted", "port-restricted", {}, "direct", "direct"],
    ["port-restricted", "symmetric", { client: "udp" }, "turnUdp", "relayed"],
    ["symmetric", "port-restricted", { worker: "tcp" }, "relayed", "turnTcp"],
    ["symmetric", "symmetric", { client: "tls" }, "turnTls", "relayed"],
    ["symmetric", "symmetric", { worker: "udp" }, "relayed", "turnUdp"],
    ["full cone", "UDP blocked", { worker: "tls" }, "relayed", "turnTls"],
    ["UDP blocked", "port-restricted", { client: "tcp" }, "turnTcp", "relayed"],
    ["UDP blocked", "symmetric", { client: "tls" }, "turnTls", "relayed"],
    ["UDP blocked", "UDP blocked", { client: "tls", worker: "tcp" }, "turnTls", "turnTcp"],
];

let lab;
let coturn;
let folder;
let file;
let fronts = 0;
const skip = whyNoLab();

before(async () => {
    if (skip) return;
    folder = await scratchFolder();
    file = await writeRandomFile(join(folder, "file.bin"), FILE_BYTES, "nat");
    execFileSync(process.env.KOLLATOR_BIN, ["keygen", join(folder, "key")], { stdio: "ignore" });
    lab = await NatLab.make();
    const ports = [TURN_PORT, TURNS_PORT];
    coturn = await Coturn.start({ address: INTERNET, via: lab.internet.via, ports });
});
after(async () => {
    await coturn?.stop();
    lab?.end();
    if (folder) await rm(folder, { recursive: true });
});

/** A site with `client` and one with a worker; `close` ends all. */
async function makeSites(clientNat, workerNat, workerSettings) {
    const client = await lab.addSite(clientNat);
    const site = await lab.addSite(workerNat);
    const settings = { HOST: "0.0.0.0", PORT: "8081", ...workerSettings(site) };
    const worker = await startWorker(settings, "worker", site.host.via);
    return {
        client,
        site,
        worker,
        stats: () => JSON.parse(site.host.run("curl", "-sS", "http://127.0.0.1:8081/stats")),
        async close() {
            await worker.stop();
            client.end();
            site.end();
        },
    };
}

/** A front on the internet; `relay`: its settings where it names one to clients. Its URL. */
async function startFront(context, relay = {}) {
    const port = FIRST_FRONT_PORT + fronts++;
    const settings = {
        FRONT_PORT: String(port),
        DATA_DIR: join(folder, `front-${port}`),
        WORKER_SHARED_KEY_PATH: join(folder, "key"),
        STUN_SERVERS: STUN,
        ...relay,
    };
    const front = run("front", settings, lab.internet.via);
    front.stderr.resume();
    context.after(async () => {
        const exited = once(front, "exit");
        front.kill("SIGTERM");
        await exited;
    });
    await once(createInterface({ input: front.stdout }), "line");
    return `http://${INTERNET}:${port}`;
}

const behindFront = (front) => ({
    FRONT_URLS: front,
    WORKER_SHARED_KEY_PATH: join(folder, "key"),
    STUN_SERVERS: STUN,
    TURN_CA_FILE: coturn.caFile,
});

/** The front knows its worker. */
const knownTo = (front, client) => until("the worker is known to its front", async () => {
    return JSON.parse(client.host.run("curl", "-sS", `${front}/workers`)).length === 1;
});

function assertWay(site, way) {
    const { [way]: bytes, ...others } = site.traffic();
    assert.ok(bytes > 2 * FILE_BYTES, `${bytes} bytes went ${way}, others ${JSON.stringify(others)}`);
    for (const [other, count] of Object.entries(others)) {
        assert.ok(count < FILE_BYTES / 10, `${count} bytes went ${other}, not ${way}`);
    }
}

async function putAndGet(client, to) {
    const environment = { SSL_CERT_FILE: coturn.caFile }; // the certificate of "turns:"
    const command = (args) => kollator([...args, ...to], environment, undefined, client.host.via);
    const put = await command(["put", file]);
    assert.equal(put.code, 0, put.stderr);
    const got = await command(["get", put.lines[0], "-o", "-"]);
    assert.equal(got.code, 0, got.stderr);
    assert.ok(sha256(got.stdout).equals(sha256(await readFile(file))), "other bytes came back");
}

describe("transfers go", { skip, concurrency: 4 }, () => {
    for (const [clientNat, workerNat, relays, clientWay, workerWay] of table) {
        const who = Object.entries(relays).map(([side, transport]) => `${side}'s by ${transport}`);
        const name = `${clientNat} to ${workerNat}, relays: ${who.join(" and ") || "none"}`;
        test(name, async (context) => {
            const relay = relays.client && { TURN_SERVERS: TURN[relays.client] };
            const front = await startFront(context, relay);
            const { client, site, close } = await makeSites(clientNat, workerNat, () => ({
                ...behindFront(front),
                ...(relays.worker && { TURN_SERVERS: TURN[relays.worker] }),
            }));
            context.after(close);
            await knownTo(front, client);
            await putAndGet(client, ["--front", front]);
            assertWay(client, clientWay);
            assertWay(site, workerWay);
        });
    }

    test("symmetric to one to one, by the direct address with ANNOUNCE_ADDRESSES in it", async (context) => {
        const { client, site, worker, close } = await makeSites("symmetric", "one to one", ({ wan }) => ({
            ANNOUNCE_ADDRESSES: wan,
        }));
        context.after(close);
        assert.equal(worker.direct.length, 1);
        assert.ok(worker.direct[0].startsWith(`/ip4/${site.wan}/udp/8081/`), worker.direct[0]);
        await putAndGet(client, ["--address", worker.direct[0]]);
        await putAndGet(client, ["--worker", `http://${site.wan}:8081`]);
        assertWay(client, "direct");
        assertWay(site, "direct");
    });

    test("by a relay for which the front gives each client a password", async (context) => {
        const ports = [TURN_PORT + 2, TURNS_PORT + 2];
        const other = { useSecret: true, address: INTERNET, via: lab.internet.via, ports };
        const coturnOfSecret = await Coturn.start(other);
        context.after(() => coturnOfSecret.stop());
        const front = await startFront(context, {
            TURN_SERVERS: `turn:${INTERNET}:${ports[0]}`,
            TURN_SECRET: secret,
        });
        const nat = "symmetric"; // twice: without a relay they do not meet
        const { client, close } = await makeSites(nat, nat, () => behindFront(front));
        context.after(close);
        await knownTo(front, client);
        await putAndGet(client, ["--front", front]);
    });

    test("by a relay at first, then directly", async (context) => {
        const size = 8_000_000;
        const front = await startFront(context, { TURN_SERVERS: TURN.udp });
        const nat = "port-restricted";
        const { client, close } = await makeSites(nat, nat, () => ({
            ...behindFront(front),
            TURN_SERVERS: TURN.udp,
        }));
        context.after(close);
        await knownTo(front, client);
        const big = await writeRandomFile(join(folder, "relay.bin"), size, "relay");
        const to = ["--front", front];
        const put = await kollator(["put", big, ...to], {}, undefined, client.host.via);
        assert.equal(put.code, 0, put.stderr);
        client.slowDown(16); // four seconds, of which the relay takes one or two
        const before = client.traffic();
        const got = await kollator(["get", put.lines[0], "-o", "-", ...to], {}, undefined, client.host.via);
        assert.ok(sha256(got.stdout).equals(sha256(await readFile(big))), got.stderr);
        const direct = client.traffic().direct - before.direct;
        context.diagnostic(`${Math.round((100 * direct) / size)} % of the bytes went directly`);
        assert.ok(direct > size / 4, JSON.stringify([before, client.traffic()]));
    });

    test("on, when the NAT forgets the client in the middle", async (context) => {
        const size = 6_000_000;
        const { client, worker, stats, close } = await makeSites("symmetric", "one to one", ({ wan }) => ({
            ANNOUNCE_ADDRESSES: wan,
            MAX_CHUNK_BYTES: String(2 ** 20), // so that many chunks come one after the other
        }));
        context.after(close);
        const big = await writeRandomFile(join(folder, "forget.bin"), size, "forget");
        const to = ["--address", worker.direct[0]];
        const put = await kollator(["put", big, ...to], {}, undefined, client.host.via);
        assert.equal(put.code, 0, put.stderr);
        client.slowDown(20);
        const attempt = async () => {
            client.forget(); // what the command before has left
            const { total } = stats().connections;
            const ports = [];
            let received = 0;
            const got = await kollator(["get", put.lines[0], "-o", "-", ...to], {}, (child) => {
                child.stdout.on("data", (bytes) => {
                    received += bytes.length;
                    if (received < size / 3 || ports.length > 0) return;
                    ports.push(...client.mappedPorts());
                    client.forget();
                });
            }, client.host.via);
            assert.equal(got.code, 0, got.stderr);
            assert.ok(sha256(got.stdout).equals(sha256(await readFile(big))), "other bytes came");
            ports.push(...client.mappedPorts());
            return { told: got.stderr, ports, connections: stats().connections.total - total };
        };
        // The command line goes elsewhere after three seconds of silence: on a machine that has
        // other work, it may be right to.
        let outcome;
        for (let i = 0; i < 3 && outcome?.told !== ""; ++i) {
            outcome = await attempt();
            context.diagnostic(JSON.stringify(outcome));
        }
        assert.equal(outcome.told, "", "the transfer was begun again");
        assert.equal(outcome.connections, 1);
        assert.equal(new Set(outcome.ports).size, 2, `outside ports: ${outcome.ports}`);
    });
});
