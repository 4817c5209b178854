// The worker behind coturn: its peers reach it through the relay and by no other way.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { cleanup } from "node-datachannel";

import { cases } from "./cases.mjs";
import { Coturn, password, secret, user } from "./coturn.mjs";
import { EchoServer } from "./echo_server.mjs";
import { megabytes } from "./megabytes.mjs";
import { offerer } from "./offerers.mjs";

const RTCPeerConnection = await offerer("node-datachannel");
after(() => cleanup());

/** An echo server with one candidate: `args` says through which server. */
async function relayed(args) {
    const server = await EchoServer.start(["--relay-only", ...args]);
    const deadline = Date.now() + 20_000;
    for (;;) {
        const { stats } = await server.stats();
        if (stats.candidates.length > 0) return { server, candidates: stats.candidates };
        assert.ok(Date.now() < deadline, "no relayed candidate");
        await new Promise((resolve) => setTimeout(resolve, 100));
    }
}

const all = [
    "echoes messages of 1 to 262,144 bytes, ordered and unordered",
    "receives messages of many sizes, in order, with nothing missing",
    "sends messages of many sizes with back-pressure",
];

async function carries(args, names = all) {
    const { server, candidates } = await relayed(args);
    try {
        assert.equal(candidates.length, 1);
        assert.match(candidates[0], / 127\.0\.0\.1 \d+ typ relay/);
        // libdatachannel names no loopback address, from which its packets come to coturn here.
        const loopback = "a=candidate:9 1 udp 1 127.0.0.1 9 typ host\r\n";
        const signal = { offer: (sdp) => server.offer(sdp + loopback) };
        const env = { RTCPeerConnection, signal, megabytes: megabytes(5) };
        for (const name of names) await cases[name](env);
    } finally {
        await server.stop();
    }
}

let coturn;
before(async () => {
    coturn = await Coturn.start();
});
after(() => coturn?.stop());

const credentials = ["--turn-user", user, "--turn-password", password];

test("carries data over UDP", async () => {
    const where = ["--turn-host", "127.0.0.1", "--turn-port", String(coturn.port)];
    await carries([...where, ...credentials]);
});

test("carries data over TCP", async () => {
    const where = ["--turn-host", "127.0.0.1", "--turn-port", String(coturn.port)];
    await carries([...where, "--turn-transport", "tcp", ...credentials]);
});

test("carries data over TLS", async () => {
    const where = ["--turn-host", "localhost", "--turn-port", String(coturn.tlsPort)];
    const tls = ["--turn-transport", "tls", "--turn-ca", coturn.caFile];
    await carries([...where, ...tls, ...credentials]);
});

test("carries data with credentials that it makes from a secret", async () => {
    const other = await Coturn.start({ useSecret: true });
    try {
        const where = ["--turn-host", "127.0.0.1", "--turn-port", String(other.port)];
        // The allocation, permissions and channels are asked for with them.
        await carries([...where, "--turn-secret", secret], all.slice(0, 1));
    } finally {
        await other.stop();
    }
});

test("learns its reflexive address, which is none where there is no NAT", async () => {
    const server = await EchoServer.start(
        ["--include-loopback", "--stun-host", "localhost", "--stun-port", String(coturn.port)],
    );
    const { stats } = await server.stats();
    assert.ok(stats.candidates.every((candidate) => !candidate.includes("srflx")));
    await server.stop();
});
