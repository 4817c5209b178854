// Starts the tests' S3 server (rgw/rgw.py, which says what it does) from Node.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

const SCRIPT = fileURLToPath(new URL("rgw/rgw.py", import.meta.url));

/**
 * Resolves when the server answers and its bucket exists; rejects when it cannot start.
 *
 * @param {{maxConcurrentRequests?: number, tlsCert?: string, tlsKey?: string}} [options]
 * @returns {Promise<Rgw>}
 */
export async function startRgw(options = {}) {
    const args = [];
    if (options.maxConcurrentRequests) {
        args.push("--max-concurrent-requests", String(options.maxConcurrentRequests));
    }
    if (options.tlsCert) args.push("--tls-cert", options.tlsCert, "--tls-key", options.tlsKey);
    const child = spawn(SCRIPT, args, { stdio: ["pipe", "pipe", "inherit"] });
    const rgw = new Rgw(child);
    Object.assign(rgw, await rgw.nextAnswer());
    return rgw;
}

export class Rgw {
    #child;
    #lines;
    #exited;

    /** As printed by rgw.py: where the server is and what opens it. */
    endpoint = "";
    accessKey = "";
    secretKey = "";
    bucket = "";
    region = "";
    pids = {};

    constructor(child) {
        this.#child = child;
        this.#exited = once(child, "exit");
        // An exit is learnt from the end of the output too: nobody else may be listening.
        this.#exited.catch(() => {});
        child.stdin.on("error", () => {});
        this.#lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
    }

    /** The variables by which a worker finds this server. */
    environment() {
        return {
            S3_ENDPOINT: this.endpoint,
            S3_BUCKET: this.bucket,
            S3_ACCESS_KEY: this.accessKey,
            S3_SECRET_KEY: this.secretKey,
            S3_REGION: this.region,
        };
    }

    /** SIGKILL of the gateway: connections are refused until restart(); objects are kept. */
    kill() {
        return this.#command("kill");
    }

    /** SIGSTOP of the gateway: it accepts nothing and answers nothing until resume(). */
    pause() {
        return this.#command("stop");
    }

    resume() {
        return this.#command("cont");
    }

    /** Starts the gateway again after kill(); resolves when it answers. */
    restart() {
        return this.#command("start");
    }

    /** Ends the server and throws its data away. */
    async stop() {
        this.#child.stdin.end();
        await this.#exited;
    }

    async nextAnswer() {
        const { done, value } = await this.#lines.next();
        if (done) throw new Error("rgw.py ended; its reason is on standard error");
        return JSON.parse(value);
    }

    async #command(word) {
        this.#child.stdin.write(`${word}\n`);
        const answer = await this.nextAnswer();
        if (!answer.ok) throw new Error(`rgw.py ${word}: ${answer.error}`);
        this.pids = answer.pids;
    }
}
