// aiortc (WebRTC in Python) as the offerer, where Debian's python3-aiortc is installed.

import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

import { EchoServer } from "./echo_server.mjs";

const python = "/usr/bin/python3";
const installed = spawnSync(python, ["-c", "import aiortc"]).status === 0;
/** Each way. Pure Python carries one or two a second. */
const megabytes = "2";

test(
    "aiortc carries messages both ways",
    { skip: installed ? false : "python3-aiortc is not installed" },
    async () => {
        const server = await EchoServer.start();
        const script = fileURLToPath(new URL("aiortc_peer.py", import.meta.url));
        const peer = spawn(python, [script, megabytes], { stdio: ["pipe", "pipe", "inherit"] });
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
    },
);
