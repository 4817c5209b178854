// Starts `kollator worker`, and says in raw messages what a client may say to it.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { createInterface } from "node:readline";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Flag } from "../../bench/load/wire.mjs";

/** Much more than what is waited for takes: a machine may have ten times its work to do. */
const PATIENCE_MS = 60_000;

export const Code = {
    BAD_REQUEST: 1, NOT_FOUND: 2, TOO_LARGE: 3, HASH_MISMATCH: 4, BUSY: 5, UNAVAILABLE: 6, UNSUPPORTED: 8,
};
export const Type = {
    CHUNK_REQUEST: 1, CHUNK_STORE: 3, CHUNK_LIST: 4, DHT_ANNOUNCE: 5, DHT_LOOKUP: 7,
    METADATA_STORE: 8,
    METADATA_REQUEST: 9, AUTH: 10, CHUNK_STAT: 12,
};

/**
 * Runs `kollator <command>` with these settings and no others. `via`: what the command line begins
 * with, to be run elsewhere.
 */
export function run(command, settings, via = []) {
    const [program, ...args] = [...via, process.env.KOLLATOR_BIN, command];
    return spawn(program, args, {
        stdio: ["ignore", "pipe", "pipe"],
        env: { PATH: process.env.PATH, HOST: "127.0.0.1", PORT: "0", LOG_LEVEL: "off", ...settings },
    });
}

/**
 * A worker in a folder of its own, or in `settings.DATA_DIR`, which then is kept at its end. The
 * command may be "dev", too: a worker beside a front. `via`: see run(); `url` is of no use there.
 */
export async function startWorker(settings = {}, command = "worker", via = []) {
    const folder = settings.DATA_DIR ?? (await mkdtemp(join(tmpdir(), "kollator-worker-")));
    const child = run(command, { DATA_DIR: folder, ...settings }, via);
    const exited = once(child, "exit");
    child.stderr.resume();
    const lines = createInterface({ input: child.stdout });
    const printed = [];
    await new Promise((ready, fail) => {
        lines.on("line", (line) => {
            printed.push(line);
            // The last of what is printed at the start.
            if (/^Objects: |Web page: /.test(line)) ready();
        });
        lines.on("close", () => fail(new Error("the worker ended before it said where it is")));
    });
    const find = (pattern) => printed.flatMap((line) => pattern.exec(line)?.[1] ?? []);
    const url = `http://127.0.0.1:${find(/http:\/\/[^ ]*:(\d+)/)[0]}`;
    return {
        url,
        folder,
        /** The addresses for direct dial that it printed. */
        direct: find(/Direct: +(\S+)/),
        pid: child.pid,
        alive: () => child.exitCode === null && child.signalCode === null,
        get: async (path) => (await fetch(url + path)).json(),
        signal: (name) => child.kill(name),
        async stop() {
            child.kill("SIGTERM");
            const [code] = await exited;
            if (!settings.DATA_DIR) await rm(folder, { recursive: true, force: true });
            return code;
        },
    };
}

export const sha256 = (bytes) => createHash("sha256").update(bytes).digest();

/** The body of a CHUNK_STORE or METADATA_STORE. */
export function storeBody(hash, total, offset, data) {
    const fields = Buffer.alloc(8);
    fields.writeUInt32BE(total, 0);
    fields.writeUInt32BE(offset, 4);
    return Buffer.concat([hash, fields, data]);
}

/** The body of a CHUNK_REQUEST or METADATA_REQUEST for the whole. */
export const requestBody = (hash) => Buffer.concat([hash, Buffer.alloc(8)]);

/** The body of a CHUNK_LIST. */
export function listBody(after, limit, scope) {
    const fields = Buffer.alloc(3);
    fields.writeUInt16BE(limit, 0);
    fields.writeUInt8(scope, 2);
    return Buffer.concat([after, fields]);
}

export function assertError({ flags, body }, code) {
    assert.ok(flags & Flag.ERROR, "an error was expected");
    assert.equal(body.readUInt16BE(0), code, body.subarray(6).toString());
    assert.ok(body.length > 6, "an error has words for people");
}

/** Asks until `condition` gives something true, and gives that. */
export async function until(what, condition) {
    const deadline = Date.now() + PATIENCE_MS;
    for (;;) {
        const value = await condition();
        if (value) return value;
        assert.ok(Date.now() < deadline, `${what}: not within ${PATIENCE_MS} ms`);
        await new Promise((go) => setTimeout(go, 25));
    }
}
