// Starts the C++ echo server (echo_server.cc) and speaks its JSON lines.

import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { createInterface } from "node:readline";

const program =
    process.env.KOLLATOR_RTC_ECHO_SERVER ??
    fileURLToPath(new URL("../../build/dev/tests/interop/rtc_echo_server", import.meta.url));

export class EchoServer {
    #child;
    #lines = [];
    #waiting = [];

    /** @param {string[]} args */
    static async start(args = ["--include-loopback"]) {
        if (!existsSync(program)) throw new Error(`${program} is not built`);
        const server = new EchoServer();
        server.#child = spawn(program, args, { stdio: ["pipe", "pipe", "inherit"] });
        createInterface({ input: server.#child.stdout }).on("line", (line) => {
            server.#lines.push(JSON.parse(line));
            server.#waiting.forEach((look) => look());
        });
        const first = await server.#take((line) => line.port);
        server.port = first.port;
        /** Where it takes direct dial: multiaddrs. */
        server.direct = first.direct;
        return server;
    }

    /** The first line for which `matches`, past or to come; it is taken. */
    #take(matches, timeoutMs = 30_000) {
        return new Promise((resolve, reject) => {
            const end = () => {
                clearTimeout(timer);
                this.#waiting = this.#waiting.filter((each) => each !== look);
            };
            const look = () => {
                const at = this.#lines.findIndex(matches);
                if (at < 0) return;
                end();
                resolve(this.#lines.splice(at, 1)[0]);
            };
            const timer = setTimeout(() => {
                end();
                reject(new Error(`no such line from the server: ${matches}`));
            }, timeoutMs);
            this.#waiting.push(look);
            look();
        });
    }

    #write(line) {
        this.#child.stdin.write(`${JSON.stringify(line)}\n`);
    }

    /** Answers come in the order of the offers. {peer, answer} or {error, code}. */
    offer(sdp) {
        this.#write({ offer: sdp });
        return this.#take((line) => line.answer || line.code);
    }

    /** A further offer of the same connection. */
    reoffer(peer, sdp) {
        this.#write({ peer, reoffer: sdp });
        return this.#take((line) => line.answer || line.code);
    }

    /** An offer of the server's, with a channel for each label: {peer, offer}. */
    makeOffer(labels) {
        this.#write({ makeOffer: labels });
        return this.#take((line) => line.offer);
    }

    acceptAnswer(peer, sdp) {
        this.#write({ peer, acceptAnswer: sdp });
        return this.#take((line) => line.accepted === peer || line.refused === peer);
    }

    candidate(peer, candidate) {
        this.#write({ peer, candidate });
    }

    close(peer, reason) {
        this.#write({ peer, close: reason });
    }

    /** {event, peer, …} */
    event(peer, name, timeoutMs) {
        return this.#take((line) => line.event === name && line.peer === peer, timeoutMs);
    }

    async stats() {
        this.#write({ stats: true });
        return this.#take((line) => line.stats);
    }

    /** Whether SCTP packets go to this peer without a checksum (RFC 9653). */
    async zeroChecksum(peer) {
        const { peers } = await this.stats();
        return peers.find((each) => each.peer === peer).zeroChecksum;
    }

    async stop() {
        const exited = new Promise((resolve) => this.#child.once("exit", resolve));
        this.#child.stdin.end();
        await exited;
    }
}
