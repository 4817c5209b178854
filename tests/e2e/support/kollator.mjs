// Starts `kollator dev`, or a front and workers as processes of their own, as a person would.

import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

const START_MS = 60_000;
const STOP_MS = 30_000;
const KEPT_OUTPUT_CHARS = 20_000;

/**
 * Starts one process, on ports and in a folder of its own.
 * @param {Record<string, string>} [environment] further variables, S3_* for instance
 */
export async function startKollator(environment = {}, subcommand = "dev") {
    const dataDir = await mkdtemp(join(tmpdir(), "kollator-e2e-"));
    const ports = { PORT: String(await freePort()), FRONT_PORT: String(await freePort()) };
    const kollator = new Kollator(subcommand, dataDir, { ...environment, ...ports, DATA_DIR: dataDir });
    await kollator.start();
    return kollator;
}

/** A front, and workers that have registered with it. */
export async function startPool(workerCount, environment = {}) {
    const folder = await mkdtemp(join(tmpdir(), "kollator-e2e-key-"));
    const key = join(folder, "worker.key");
    execFileSync(program(), ["keygen", key]);
    const front = await startKollator({ WORKER_SHARED_KEY_PATH: key }, "front");
    const settings = { ...environment, WORKER_SHARED_KEY_PATH: key, FRONT_URLS: front.url };
    const workers = await Promise.all(
        Array.from({ length: workerCount }, () => startKollator(settings, "worker")),
    );
    const pool = {
        front,
        workers,
        async size() {
            return (await (await fetch(new URL("/workers", front.url))).json()).length;
        },
        async dispose() {
            for (const each of [...workers, front]) await each.dispose();
            await rm(folder, { recursive: true, force: true });
        },
    };
    await until(async () => (await pool.size()) === workerCount, START_MS, "register the workers");
    return pool;
}

function program() {
    const path = process.env.KOLLATOR_BIN;
    if (!path) throw new Error("KOLLATOR_BIN does not say where the executable is");
    return path;
}

/** `why`: tells more, and throws by itself where waiting is in vain. */
export async function until(condition, withinMs, what, why = () => "") {
    const deadline = Date.now() + withinMs;
    while (!(await condition().catch(() => false))) {
        const more = why();
        if (Date.now() > deadline) throw new Error(`kollator does not ${what}:\n${more}`);
        await new Promise((resolve) => setTimeout(resolve, 50));
    }
}

/** One `kollator <subcommand>` process that can be ended and started again with all its settings. */
export class Kollator {
    #subcommand;
    #dataDir;
    #environment;
    #child;
    #output = "";

    constructor(subcommand, dataDir, environment) {
        this.#subcommand = subcommand;
        this.#dataDir = dataDir;
        this.#environment = environment;
    }

    /** Where people go: the page, or for a worker its status page. */
    get url() {
        const worker = this.#subcommand === "worker";
        return worker ? `${this.workerUrl}/` : `http://127.0.0.1:${this.#environment.FRONT_PORT}/`;
    }

    get workerUrl() {
        return `http://127.0.0.1:${this.#environment.PORT}`;
    }

    /** Resolves when the page answers. */
    async start() {
        this.#output = "";
        this.#child = spawn(program(), [this.#subcommand], {
            env: { ...process.env, ...this.#environment },
            stdio: ["ignore", "pipe", "pipe"],
        });
        for (const stream of [this.#child.stdout, this.#child.stderr]) {
            stream.setEncoding("utf8").on("data", (text) => {
                this.#output = (this.#output + text).slice(-KEPT_OUTPUT_CHARS);
            });
        }
        await until(async () => (await fetch(this.url)).ok, START_MS, "answer", () => {
            if (this.#child.exitCode !== null) throw new Error(`kollator ended:\n${this.#output}`);
            return this.#output;
        });
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

    /** SIGSTOP, for instance: it says nothing more until SIGCONT. */
    signal(name) {
        this.#child.kill(name);
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
}

async function freePort() {
    const server = createServer().listen(0, "127.0.0.1");
    await once(server, "listening");
    const { port } = server.address();
    server.close();
    await once(server, "close");
    return port;
}
