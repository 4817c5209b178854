// Others' WebRTC over IPv6: by direct dial, the one address that the worker names is ::1.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { networkInterfaces } from "node:os";

import { cleanup } from "node-datachannel";

import { directCases, dial } from "./direct_cases.mjs";
import { EchoServer } from "./echo_server.mjs";
import { offerer } from "./offerers.mjs";
import { equal, pattern } from "./support.mjs";

const has = Object.values(networkInterfaces()).flat().some(({ address }) => address === "::1");
const options = { skip: has ? false : "no IPv6" };

let server;
before(async () => {
    if (has) server = await EchoServer.start(["--bind", "::1"]);
});
after(async () => {
    await server?.stop();
    cleanup();
});

for (const name of ["node-datachannel", "werift"]) {
    test(`${name} dials over IPv6`, options, async () => {
        const RTCPeerConnection = await offerer(name);
        const [direct] = server.direct;
        assert.match(direct, /^\/ip6\/::1\/udp\//);
        await directCases["connects by the address alone"]({ RTCPeerConnection, direct });
        const { pc, channel } = await dial({ RTCPeerConnection, direct });
        await channel.open;
        channel.raw.send(pattern(65_536, 1));
        assert.ok(equal(await channel.next(), pattern(65_536, 1)));
        const { peers } = await server.stats();
        assert.match(peers.at(-1).remote, /^\[::1\]:/);
        pc.close();
    });
}
