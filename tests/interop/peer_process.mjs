// A WebRTC implementation in another language, as a program that speaks JSON lines. It offers or
// answers as its argument says, carries what it is asked to, compares it, and says that it is done.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { test } from "node:test";

import { EchoServer } from "./echo_server.mjs";

/**
 * Runs it in both roles. `start`: gives {program, args}, to which "offer" or "answer" and the bulk
 * cases' channels are added; `maxBytes`: the largest message that it takes and sends.
 */
export function peerProcessTests(name, { skip, start, megabytes, maxBytes }) {
    const bytes = megabytes * 1_048_576;
    const labels = [`source:${bytes}:${maxBytes}`, `sink:${bytes}:${maxBytes}`];
    labels.push("ordered", "unordered");
    for (const role of ["offer", "answer"]) {
        const title = `${name} carries messages of many sizes both ways at once: it ${role}s`;
        test(title, { skip }, async (context) => {
            const { program, args } = start();
            const began = performance.now();
            await run(program, [...args, role, ...labels], role, labels);
            const each = bytes / 1e3 / (performance.now() - began);
            context.diagnostic(`${Math.round(bytes / 1e6)} MB at ${each.toFixed(1)} MB/s each way`);
        });
    }
}

async function run(program, args, role, labels) {
    const server = await EchoServer.start();
    const peer = spawn(program, args, { stdio: ["pipe", "pipe", "inherit"] });
    try {
        const lines = createInterface({ input: peer.stdout })[Symbol.asyncIterator]();
        const read = async () => JSON.parse((await lines.next()).value ?? "{}");
        const write = (line) => peer.stdin.write(`${JSON.stringify(line)}\n`);
        let id;
        if (role === "offer") {
            const answered = await server.offer((await read()).offer);
            assert.ok(answered.answer, answered.error);
            id = answered.peer;
            write({ answer: answered.answer });
        } else {
            const made = await server.makeOffer(labels);
            id = made.peer;
            write({ offer: made.offer });
            const { error } = await server.acceptAnswer(id, (await read()).answer);
            assert.equal(error, undefined);
        }
        await server.event(id, "connected");
        assert.equal(await server.zeroChecksum(id), false, "RFC 9653");
        const exited = once(peer, "exit");
        assert.deepEqual(await read(), { done: true });
        assert.equal((await exited)[0], 0);
    } finally {
        peer.kill();
        await server.stop();
    }
}
