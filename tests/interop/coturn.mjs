// Starts coturn (Debian's turnserver) on loopback, for one test.

import { spawn } from "node:child_process";
import { execFileSync } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer, connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";

export const user = "kollator";
export const password = "between-friends";
export const secret = "static-auth-secret";

/** coturn takes no port 0: one that is free now, and very likely still is in a moment. */
function freePort() {
    return new Promise((resolve, reject) => {
        const server = createServer();
        server.on("error", reject);
        server.listen(0, "127.0.0.1", () => {
            const { port } = server.address();
            server.close(() => resolve(port));
        });
    });
}

function accepts(port) {
    return new Promise((resolve) => {
        const socket = connect(port, "127.0.0.1", () => resolve(true));
        socket.on("error", () => resolve(false));
        socket.on("close", () => resolve(false));
        setTimeout(() => socket.destroy(), 1_000);
    });
}

export class Coturn {
    #child;
    #folder;
    #log = [];

    /** `useSecret`: the REST form of credentials in place of a user. */
    static async start({ useSecret = false } = {}) {
        const coturn = new Coturn();
        coturn.#folder = await mkdtemp(join(tmpdir(), "kollator-coturn-"));
        const file = (name) => join(coturn.#folder, name);
        coturn.caFile = file("certificate.pem");
        execFileSync(
            "openssl",
            ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
                .concat(["-keyout", file("key.pem"), "-out", coturn.caFile, "-days", "2"])
                .concat(["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]),
            { stdio: "ignore" },
        );
        coturn.port = await freePort();
        coturn.tlsPort = await freePort();
        const credentials = useSecret
            ? ["--use-auth-secret", `--static-auth-secret=${secret}`]
            : ["--lt-cred-mech", `--user=${user}:${password}`];
        coturn.#child = spawn(
            "turnserver",
            [
                "-n",
                "--no-cli",
                "--no-dtls",
                "--allow-loopback-peers",
                "--listening-ip=127.0.0.1",
                "--relay-ip=127.0.0.1",
                `--listening-port=${coturn.port}`,
                `--tls-listening-port=${coturn.tlsPort}`,
                `--cert=${coturn.caFile}`,
                `--pkey=${file("key.pem")}`,
                "--realm=kollator.example",
                "--log-file=stdout",
                `--pidfile=${file("pid")}`,
                `--userdb=${file("users.sqlite")}`,
                ...credentials,
            ],
            { stdio: ["ignore", "pipe", "pipe"] },
        );
        for (const stream of [coturn.#child.stdout, coturn.#child.stderr]) {
            createInterface({ input: stream }).on("line", (line) => coturn.#log.push(line));
        }
        const deadline = Date.now() + 30_000;
        while (!(await accepts(coturn.port))) {
            if (Date.now() > deadline) throw new Error(`coturn:\n${coturn.log()}`);
            await new Promise((resolve) => setTimeout(resolve, 100));
        }
        return coturn;
    }

    log() {
        return this.#log.join("\n");
    }

    async stop() {
        const exited = new Promise((resolve) => this.#child.once("exit", resolve));
        this.#child.kill("SIGKILL");
        await exited;
        await rm(this.#folder, { recursive: true });
    }
}
