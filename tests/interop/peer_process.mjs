// A WebRTC implementation in another language, as a program that speaks JSON lines: it writes an
// offer, reads our answer, carries what it was told to carry, checks it, and says that it is done.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";

import { EchoServer } from "./echo_server.mjs";

export async function runPeerProcess(program, args) {
    const server = await EchoServer.start();
    const peer = spawn(program, args, { stdio: ["pipe", "pipe", "inherit"] });
    try {
        const lines = createInterface({ input: peer.stdout })[Symbol.asyncIterator]();
        const { offer } = JSON.parse((await lines.next()).value);
        const answered = await server.offer(offer);
        assert.ok(answered.answer, answered.error);
        peer.stdin.write(`${JSON.stringify({ answer: answered.answer })}\n`);
        const exited = once(peer, "exit");
        assert.deepEqual(JSON.parse((await lines.next()).value ?? "{}"), { done: true });
        assert.equal((await exited)[0], 0);
    } finally {
        peer.kill();
        await server.stop();
    }
}
