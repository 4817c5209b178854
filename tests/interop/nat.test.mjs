// Whole workers, fronts and command lines behind NATs: who reaches whom, and by which way. The
// routers count what passes, so that nobody has to be believed.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";

import { writeRandomFile } from "../e2e/support/files.mjs";
import { kollator } from "../support/cli.mjs";
import { INTERNET, TURNS_PORT, TURN_PORT, whyNoLab } from "../support/nat_lab.mjs";
import { sha256 } from "../support/worker.mjs";
import { Coturn, secret } from "./coturn.mjs";
import { NatBed, TURN, assertWay } from "./nat_bed.mjs";

const FILE_BYTES = 3_000_000;

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

let bed;
const skip = whyNoLab();

before(async () => {
    if (!skip) bed = await NatBed.make(FILE_BYTES);
});
after(() => bed?.end());

async function putAndGet(client, to) {
    const environment = { SSL_CERT_FILE: bed.coturn.caFile }; // the certificate of "turns:"
    const command = (args) => kollator([...args, ...to], environment, undefined, client.host.via);
    const put = await command(["put", bed.file]);
    assert.equal(put.code, 0, put.stderr);
    const got = await command(["get", put.lines[0], "-o", "-"]);
    assert.equal(got.code, 0, got.stderr);
    assert.ok(sha256(got.stdout).equals(sha256(await readFile(bed.file))), "other bytes came back");
}

describe("transfers go", { skip, concurrency: 4 }, () => {
    for (const [clientNat, workerNat, relays, clientWay, workerWay] of table) {
        const who = Object.entries(relays).map(([side, transport]) => `${side}'s by ${transport}`);
        const name = `${clientNat} to ${workerNat}, relays: ${who.join(" and ") || "none"}`;
        test(name, async (context) => {
            const relay = relays.client && { TURN_SERVERS: TURN[relays.client] };
            const front = await bed.startFront(context, relay);
            const { client, site, close } = await bed.makeSites(clientNat, workerNat, () => ({
                ...bed.behindFront(front),
                ...(relays.worker && { TURN_SERVERS: TURN[relays.worker] }),
            }));
            context.after(close);
            await bed.knownTo(front, client);
            await putAndGet(client, ["--front", front]);
            assertWay(client, clientWay, FILE_BYTES);
            assertWay(site, workerWay, FILE_BYTES);
        });
    }

    test("symmetric to one to one, by the direct address with ANNOUNCE_ADDRESSES in it", async (context) => {
        const { client, site, worker, close } = await bed.makeSites("symmetric", "one to one", ({ wan }) => ({
            ANNOUNCE_ADDRESSES: wan,
        }));
        context.after(close);
        assert.equal(worker.direct.length, 1);
        assert.ok(worker.direct[0].startsWith(`/ip4/${site.wan}/udp/8081/`), worker.direct[0]);
        await putAndGet(client, ["--address", worker.direct[0]]);
        await putAndGet(client, ["--worker", `http://${site.wan}:8081`]);
        assertWay(client, "direct", FILE_BYTES);
        assertWay(site, "direct", FILE_BYTES);
    });

    test("by a relay for which the front gives each client a password", async (context) => {
        const ports = [TURN_PORT + 2, TURNS_PORT + 2];
        const other = { useSecret: true, address: INTERNET, via: bed.lab.internet.via, ports };
        const coturnOfSecret = await Coturn.start(other);
        context.after(() => coturnOfSecret.stop());
        const front = await bed.startFront(context, {
            TURN_SERVERS: `turn:${INTERNET}:${ports[0]}`,
            TURN_SECRET: secret,
        });
        const nat = "symmetric"; // twice: without a relay they do not meet
        const { client, close } = await bed.makeSites(nat, nat, () => bed.behindFront(front));
        context.after(close);
        await bed.knownTo(front, client);
        await putAndGet(client, ["--front", front]);
    });

    test("by a relay at first, then directly", async (context) => {
        const size = 8_000_000;
        const front = await bed.startFront(context, { TURN_SERVERS: TURN.udp });
        const nat = "port-restricted";
        const { client, close } = await bed.makeSites(nat, nat, () => ({
            ...bed.behindFront(front),
            TURN_SERVERS: TURN.udp,
        }));
        context.after(close);
        await bed.knownTo(front, client);
        const big = await writeRandomFile(join(bed.folder, "relay.bin"), size, "relay");
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
        const { client, worker, stats, close } = await bed.makeSites("symmetric", "one to one", ({ wan }) => ({
            ANNOUNCE_ADDRESSES: wan,
            MAX_CHUNK_BYTES: String(2 ** 20), // so that many chunks come one after the other
        }));
        context.after(close);
        const big = await writeRandomFile(join(bed.folder, "forget.bin"), size, "forget");
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
