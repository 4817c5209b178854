// `kollator worker` as a process that a test starts, asks and ends.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { createInterface } from "node:readline";

/** The machine may be slow and busy. */
export const PATIENCE_MS = 120_000;

export async function within(promise, what) {
    let timer;
    const late = new Promise((_, reject) => {
        timer = setTimeout(() => reject(new Error(`${what}: over ${PATIENCE_MS} ms`)), PATIENCE_MS);
    });
    return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

/** A running worker. `readyMs`: from its start to its first answer. */
export class Worker {
    static #running = new Set();
    /** What it says on standard error. */
    log = "";

    static async start(environment) {
        const worker = new Worker();
        const begun = performance.now();
        worker.child = spawn(process.env.KOLLATOR_BIN, ["worker"], {
            env: { PATH: process.env.PATH, LOG_LEVEL: "error", ...environment },
            stdio: ["ignore", "pipe", "pipe"],
        });
        worker.child.stderr.on("data", (text) => (worker.log += text));
        Worker.#running.add(worker.child);
        worker.exited = new Promise((resolve) => worker.child.once("exit", resolve));
        worker.exited.then(() => Worker.#running.delete(worker.child));
        const url = new Promise((resolve, reject) => {
            createInterface({ input: worker.child.stdout }).on("line", (line) => {
                const port = /^Worker .* at http:\/\/[^ ]*:(\d+) /.exec(line)?.[1];
                if (port) resolve(`http://127.0.0.1:${port}`);
            });
            worker.child.once("close", (code) => {
                reject(new Error(`the worker ended: ${code}: ${worker.log}`));
            });
        });
        worker.url = await within(url, "start");
        assert.equal((await fetch(`${worker.url}/health`)).status, 200);
        worker.readyMs = performance.now() - begun;
        return worker;
    }

    static killAll() {
        Worker.#running.forEach((child) => child.kill("SIGKILL"));
    }

    async stats() {
        return (await fetch(`${this.url}/stats`)).json();
    }

    async end(signal) {
        this.child.kill(signal);
        return within(this.exited, "end");
    }
}
