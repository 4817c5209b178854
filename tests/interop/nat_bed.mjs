// What the tests behind NATs stand on: a relay and fronts on the internet, and pairs of sites, a
// client's and a worker's.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { once } from "node:events";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { createInterface } from "node:readline";

import { scratchFolder, writeRandomFile } from "../e2e/support/files.mjs";
import { INTERNET, NatLab, TURNS_PORT, TURN_PORT } from "../support/nat_lab.mjs";
import { run, startWorker, until } from "../support/worker.mjs";
import { Coturn, password, user } from "./coturn.mjs";

const FIRST_FRONT_PORT = 8100;
const STUN = `stun:${INTERNET}:${TURN_PORT}`;
const credentials = `${user}:${password}@${INTERNET}`;
/** TURN_SERVERS, by how the relay is reached. */
export const TURN = {
    udp: `turn:${credentials}:${TURN_PORT}`,
    tcp: `turn:${credentials}:${TURN_PORT}?transport=tcp`,
    tls: `turns:${credentials}:${TURNS_PORT}`,
};

export class NatBed {
    #fronts = 0;

    /** With a file of `fileBytes` to be shared. */
    static async make(fileBytes) {
        const bed = new NatBed();
        bed.folder = await scratchFolder();
        bed.file = await writeRandomFile(join(bed.folder, "file.bin"), fileBytes, "nat");
        execFileSync(process.env.KOLLATOR_BIN, ["keygen", join(bed.folder, "key")], { stdio: "ignore" });
        bed.lab = await NatLab.make();
        const ports = [TURN_PORT, TURNS_PORT];
        bed.coturn = await Coturn.start({ address: INTERNET, via: bed.lab.internet.via, ports });
        return bed;
    }

    async end() {
        await this.coturn.stop();
        this.lab.end();
        await rm(this.folder, { recursive: true });
    }

    /** A site with `client` and one with a worker; `close` ends all. */
    async makeSites(clientNat, workerNat, workerSettings) {
        const client = await this.lab.addSite(clientNat);
        const site = await this.lab.addSite(workerNat);
        const settings = { HOST: "0.0.0.0", PORT: "8081", ...workerSettings(site) };
        const worker = await startWorker(settings, "worker", site.host.via);
        return {
            client,
            site,
            worker,
            stats: () => JSON.parse(site.host.run("curl", "-sS", "http://127.0.0.1:8081/stats")),
            async close() {
                await worker.stop();
                client.end();
                site.end();
            },
        };
    }

    /** A front on the internet; `relay`: its settings where it names one to clients. Its URL. */
    async startFront(context, relay = {}) {
        const port = FIRST_FRONT_PORT + this.#fronts++;
        const settings = {
            FRONT_PORT: String(port),
            DATA_DIR: join(this.folder, `front-${port}`),
            WORKER_SHARED_KEY_PATH: join(this.folder, "key"),
            STUN_SERVERS: STUN,
            ...relay,
        };
        const front = run("front", settings, this.lab.internet.via);
        front.stderr.resume();
        context.after(async () => {
            const exited = once(front, "exit");
            front.kill("SIGTERM");
            await exited;
        });
        await once(createInterface({ input: front.stdout }), "line");
        return `http://${INTERNET}:${port}`;
    }

    /** Settings of a worker of `front`'s. */
    behindFront(front) {
        return {
            FRONT_URLS: front,
            WORKER_SHARED_KEY_PATH: join(this.folder, "key"),
            STUN_SERVERS: STUN,
            TURN_CA_FILE: this.coturn.caFile,
        };
    }

    /** The front knows its worker. */
    knownTo(front, client) {
        return until("the worker is known to its front", async () => {
            return JSON.parse(client.host.run("curl", "-sS", `${front}/workers`)).length === 1;
        });
    }
}

/** A file of `fileBytes` went to and fro by `way` and by no other, says the site's router. */
export function assertWay(site, way, fileBytes) {
    const { [way]: bytes, ...others } = site.traffic();
    assert.ok(bytes > 2 * fileBytes, `${bytes} bytes went ${way}, others ${JSON.stringify(others)}`);
    for (const [other, count] of Object.entries(others)) {
        assert.ok(count < fileBytes / 10, `${count} bytes went ${other}, not ${way}`);
    }
}
