// Starts coturn (Debian's turnserver) on loopback or in a network namespace, for one test.

import { execFileSync, spawn, spawnSync } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:net";
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

export class Coturn {
    #child;
    #folder;
    #log = [];

    /**
     * `useSecret`: the REST form of credentials in place of a user. `via`: what a command line
     * begins with to be run where `address` is.
     */
    static async start({ useSecret = false, address = "127.0.0.1", via = [], ports } = {}) {
        const coturn = new Coturn();
        coturn.#folder = await mkdtemp(join(tmpdir(), "kollator-coturn-"));
        const file = (name) => join(coturn.#folder, name);
        coturn.caFile = file("certificate.pem");
        execFileSync(
            "openssl",
            ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
                .concat(["-keyout", file("key.pem"), "-out", coturn.caFile, "-days", "2"])
                .concat(["-subj", "/CN=localhost"])
                .concat(["-addext", `subjectAltName=DNS:localhost,IP:${address}`]),
            { stdio: "ignore" },
        );
        [coturn.port, coturn.tlsPort] = ports ?? [await freePort(), await freePort()];
        const credentials = useSecret
            ? ["--use-auth-secret", `--static-auth-secret=${secret}`]
            : ["--lt-cred-mech", `--user=${user}:${password}`];
        const [program, ...args] = [...via, "turnserver"];
        coturn.#child = spawn(
            program,
            [
                ...args,
                "-n",
                "--no-cli",
                "--no-dtls",
                "--allow-loopback-peers",
                `--listening-ip=${address}`,
                `--relay-ip=${address}`,
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
        const [bash, ...within] = [...via, "bash"];
        const knock = [...within, "-c", `: </dev/tcp/${address}/${coturn.port}`];
        while (spawnSync(bash, knock, { stdio: "ignore" }).status !== 0) {
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
