// aiortc (Debian's python3-aiortc) in both roles; aiortc_peer.py has the cases.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { after, before, test } from "node:test";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

import { EchoServer } from "./echo_server.mjs";

/** Of 64 KiB, each way. Pure Python: what it carries in CI is little. */
const messages = process.env.KOLLATOR_AIORTC_MESSAGES ?? "40";

let server;
const results = new Map();

before(async () => {
    server = await EchoServer.start();
    // Debian's Python, which has Debian's packages.
    const script = fileURLToPath(new URL("aiortc_peer.py", import.meta.url));
    const child = spawn("/usr/bin/python3", [script, messages], {
        stdio: ["pipe", "pipe", "inherit"],
    });
    const exited = new Promise((resolve) => child.once("exit", resolve));
    createInterface({ input: child.stdout }).on("line", async (text) => {
        const line = JSON.parse(text);
        if (line.case) {
            results.set(line.case, line.error);
            return;
        }
        const answer = await server[line.ask](...line.arguments);
        child.stdin.write(`${JSON.stringify(answer)}\n`);
    });
    await exited;
});
after(() => server?.stop());

for (const name of ["offers, echoes, receives and sends", "answers, echoes, receives and sends"]) {
    test(name, () => {
        assert.ok(results.has(name), "it did not come so far");
        assert.equal(results.get(name), null);
    });
}
