// Starts `kollator dev`, as a person would, on ports and in a folder of its own.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

const START_MS = 60_000;
const STOP_MS = 30_000;
const KEPT_OUTPUT_CHARS = 20_000;

/** @param {Record<string, string>} [environment] further variables, S3_* for instance */
export async function startKollator(environment = {}) {
    const dataDir = await mkdtemp(join(tmpdir(), "kollator-e2e-"));
    const kollator = new Kollator(dataDir, {
        ...environment,
        DATA_DIR: dataDir,
        PORT: String(await freePort()),
        FRONT_PORT: String(await freePort()),
    });
    await kollator.start();
    return kollator;
}

/** One `kollator <subcommand>` process that can be ended and started again with all its settings. */
export class Kollator {
    /** The page's address, as the server printed it. */
    url = "";
    #dataDir;
    #environment;
    #child;
    #output = "";

    constructor(dataDir, environment) {
        this.#dataDir = dataDir;
        this.#environment = environment;
    }

    get workerUrl() {
        return `http://127.0.0.1:${this.#environment.PORT}`;
    }

    /** Resolves when the page's address was printed and the page answers. */
    async start(subcommand = "dev") {
        const program = process.env.KOLLATOR_BIN;
        if (!program) throw new Error("KOLLATOR_BIN does not say where the executable is");
        this.#output = "";
        this.#child = spawn(program, [subcommand], {
            env: { ...process.env, ...this.#environment },
            stdio: ["ignore", "pipe", "pipe"],
        });
        for (const stream of [this.#child.stdout, this.#child.stderr]) {
            stream.setEncoding("utf8").on("data", (text) => {
                this.#output = (this.#output + text).slice(-KEPT_OUTPUT_CHARS);
            });
        }
        this.url = `http://127.0.0.1:${this.#environment.FRONT_PORT}/`;
        await this.#until(async () => (await fetch(this.url)).ok, START_MS, "answer");
    }

    /** As Ctrl-C does; rejects where it does not end, or not cleanly. */
    async stop() {
        const child = this.#child;
        this.#child = undefined;
        if (!child || child.exitCode !== null) return;
        const exited = once(child, "exit");
        child.kill("SIGINT");
        const timer = setTimeout(() => child.kill("SIGKILL"), STOP_MS);
        const [code, signal] = await exited;
        clearTimeout(timer);
        if (code !== 0) {
            throw new Error(`kollator ended with ${code ?? signal}:\n${this.#output}`);
        }
    }

    /** As a power cut does. */
    async kill() {
        const exited = once(this.#child, "exit");
        this.#child.kill("SIGKILL");
        await exited;
        this.#child = undefined;
    }

    /** REQUIRES: it is stopped. */
    async emptyCache() {
        await rm(join(this.#dataDir, "cache"), { recursive: true, force: true });
    }

    async stats() {
        return (await fetch(`${this.workerUrl}/stats`)).json();
    }

    async dispose() {
        try {
            await this.stop();
        } finally {
            await rm(this.#dataDir, { recursive: true, force: true });
        }
    }

    async #until(condition, withinMs, what) {
        const deadline = Date.now() + withinMs;
        while (!(await condition().catch(() => false))) {
            if (this.#child.exitCode !== null || Date.now() > deadline) {
                throw new Error(`kollator does not ${what}:\n${this.#output}`);
            }
            await new Promise((resolve) => setTimeout(resolve, 50));
        }
    }
}

async function freePort() {
    const server = createServer().listen(0, "127.0.0.1");
    await once(server, "listening");
    const { port } = server.address();
    server.close();
    await once(server, "close");
    return port;
}
