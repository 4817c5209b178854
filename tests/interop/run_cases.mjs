// Runs every case of cases.mjs, answerer_cases.mjs and direct_cases.mjs with a WebRTC package for Node.

import assert from "node:assert/strict";
import { fork } from "node:child_process";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";

import { answererCases } from "./answerer_cases.mjs";
import { cases, connectAndStay } from "./cases.mjs";
import { directCases } from "./direct_cases.mjs";
import { EchoServer } from "./echo_server.mjs";

// protocol.md promises 15 s; what is left is for a machine under load.
const NOTICED_WITHIN_MS = 15_000;

/** `packageName`: which offerer; see offerers.mjs. `megabytes`: of the bulk cases, each way.
 *  `zeroChecksum`: whether it offers RFC 9653. */
export function runCases(packageName, { RTCPeerConnection, megabytes, zeroChecksum, skip = {} }) {
    let server;
    before(async () => {
        server = await EchoServer.start();
    });
    after(() => server.stop());

    const all = { ...cases, ...answererCases, ...directCases };
    for (const [name, run] of Object.entries(all)) {
        test(name, { skip: skip[name] }, async (context) => {
            const direct = server.direct[0];
            const note = await run({ RTCPeerConnection, signal: server, megabytes, direct });
            if (note) context.diagnostic(note);
        });
    }

    const skipped = process.env.RTC_SCTP === "usrsctp" && "usrsctp knows no RFC 9653";
    const title = "is sent SCTP packets without checksums where it offers to take them";
    test(title, { skip: skipped }, async () => {
        const peer = await connectAndStay({ RTCPeerConnection, signal: server });
        assert.equal(await server.zeroChecksum(peer), zeroChecksum);
        kept.close();
    });

    test("is missed within 15 s when its process is killed", async (context) => {
        const child = fork(fileURLToPath(new URL("vanishing_peer.mjs", import.meta.url)), [
            packageName,
        ]);
        child.on("message", async ({ offer }) => {
            if (offer) child.send(await server.offer(offer));
        });
        const peer = await new Promise((resolve, reject) => {
            child.on("message", (message) => message.connected && resolve(message.connected));
            child.on("exit", () => reject(new Error("the peer ended early")));
        });
        const began = performance.now();
        child.kill("SIGKILL");
        const closed = await server.event(peer, "closed", 60_000);
        const took = performance.now() - began;
        context.diagnostic(`${closed.reason} after ${Math.round(took)} ms`);
        assert.ok(took <= NOTICED_WITHIN_MS, `noticed after ${took} ms`);
    });
}
