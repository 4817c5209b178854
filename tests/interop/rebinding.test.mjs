// A client whose address changes in the middle: a NAT that has forgotten it.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { after, test } from "node:test";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

import { cleanup } from "node-datachannel";

import { dial } from "./direct_cases.mjs";
import { EchoServer } from "./echo_server.mjs";
import { offerer } from "./offerers.mjs";
import { equal, pattern } from "./support.mjs";

const program =
    process.env.KOLLATOR_RELAY ??
    fileURLToPath(
        new URL("../../build/dev/tests/support/relay/impairment_relay", import.meta.url),
    );

after(() => cleanup());

for (const name of ["node-datachannel", "werift"]) {
    test(`${name} keeps its connection over a change of its address`, async (context) => {
        const server = await EchoServer.start();
        const relay = spawn(program, ["--to", `127.0.0.1:${server.port}`], {
            stdio: ["pipe", "pipe", "inherit"],
        });
        const lines = createInterface({ input: relay.stdout });
        const port = await new Promise((resolve) => {
            lines.once("line", (line) => resolve(line.split(" ")[1]));
        });
        // By direct dial the worker learns no address but the relay's.
        const relayed = `ip4/127.0.0.1/udp/${port}`;
        const direct = server.direct[0].replace(/ip4\/[^/]+\/udp\/\d+/, relayed);
        const { pc, channel } = await dial({ RTCPeerConnection: await offerer(name), direct });
        await channel.open;
        const echoes = async (turn) => {
            channel.raw.send(pattern(5_000, turn));
            assert.ok(equal(await channel.next(), pattern(5_000, turn)), `echo ${turn}`);
        };
        await echoes(0);
        const before = (await server.stats()).peers[0].remote;
        for (let turn = 1; turn <= 2; ++turn) {
            relay.stdin.write("rebind\n");
            const began = performance.now();
            await echoes(turn);
            context.diagnostic(`back after ${Math.round(performance.now() - began)} ms`);
        }
        const { peers } = await server.stats();
        assert.equal(peers.length, 1);
        assert.notEqual(peers[0].remote, before);
        pc.close();
        relay.stdin.end();
        await server.stop();
    });
}
