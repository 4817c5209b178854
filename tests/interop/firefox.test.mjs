// Debian's Firefox: the same cases, in a page that asks for them one by one and posts what came of
// it. No driver: its version would have to fit the browser's.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";

import { answererCases } from "./answerer_cases.mjs";
import { cases } from "./cases.mjs";
import { directCases } from "./direct_cases.mjs";
import { EchoServer } from "./echo_server.mjs";
import { megabytes } from "./megabytes.mjs";
import { pageScripts } from "./page_scripts.mjs";
import { within } from "./support.mjs";

const NOTICED_WITHIN_MS = 15_000;
const START_MS = 120_000;
const CASE_MS = 300_000;
const program = "/usr/bin/firefox-esr";
const skip = existsSync(program) ? false : "firefox-esr is not installed";

// Nothing of its own accord into the network, no first-run pages; loopback as any other network.
const preferences = {
    "app.normandy.enabled": false,
    "app.update.enabled": false,
    "browser.aboutwelcome.enabled": false,
    "browser.safebrowsing.malware.enabled": false,
    "browser.safebrowsing.phishing.enabled": false,
    "browser.shell.checkDefaultBrowser": false,
    "datareporting.policy.dataSubmissionEnabled": false,
    "extensions.update.enabled": false,
    "media.gmp-manager.updateEnabled": false,
    "media.peerconnection.ice.loopback": true,
    "network.captive-portal-service.enabled": false,
    "network.connectivity-service.enabled": false,
    "services.settings.server": "data:,",
    "toolkit.telemetry.reportingpolicy.firstRun": false,
};

class Firefox {
    #folder;
    #files;
    #child;
    #ask; // answers the page's request for its next case
    #asking = Promise.withResolvers();

    async start(server) {
        const scripts = await pageScripts();
        this.#files = createServer(async (request, response) => {
            if (request.method !== "POST") {
                const script = scripts.get(request.url);
                response.setHeader("Content-Type", script ? "text/javascript" : "text/html");
                response.end(script ?? '<!doctype html><script type=module src="firefox_page.mjs"></script>');
                return;
            }
            const body = JSON.parse(Buffer.concat(await request.toArray()));
            const [, path, method] = request.url.split("/");
            const answer =
                path === "next" ? await this.#next(body) : await server[method](...body);
            response.end(JSON.stringify(answer ?? {}));
        });
        await new Promise((resolve) => this.#files.listen(0, "127.0.0.1", resolve));
        this.#folder = await mkdtemp(join(tmpdir(), "kollator-firefox-"));
        const lines = Object.entries(preferences).map(
            ([name, value]) => `user_pref(${JSON.stringify(name)}, ${JSON.stringify(value)});`,
        );
        await writeFile(join(this.#folder, "user.js"), lines.join("\n"));
        const url = `http://127.0.0.1:${this.#files.address().port}/`;
        this.#child = spawn(program, ["--headless", "--no-remote", "--profile", this.#folder, url], {
            stdio: "ignore",
            env: { ...process.env, HOME: this.#folder, MOZ_CRASHREPORTER_DISABLE: "1" },
        });
        await within(this.#asking.promise, START_MS, "Firefox's page");
    }

    /** The page is done with a case, and waits for another. */
    #next(outcome) {
        this.#asking.resolve(outcome);
        return new Promise((resolve) => (this.#ask = resolve));
    }

    async run(name, direct) {
        this.#asking = Promise.withResolvers();
        this.#ask({ name, direct, megabytes: megabytes(100) });
        const { error, note } = await within(this.#asking.promise, CASE_MS, name);
        assert.equal(error, undefined);
        return note;
    }

    kill() {
        this.#child.kill("SIGKILL");
    }

    async end() {
        if (this.#child?.exitCode === null && this.#child.signalCode === null) {
            const exited = once(this.#child, "exit");
            this.kill();
            await exited;
        }
        this.#files?.closeAllConnections();
        this.#files?.close();
        if (this.#folder) await rm(this.#folder, { recursive: true, maxRetries: 10, retryDelay: 100 });
    }
}

describe("Firefox", { skip }, () => {
    const firefox = new Firefox();
    let server;
    before(async () => {
        server = await EchoServer.start();
        await firefox.start(server);
    });
    after(async () => {
        await firefox.end();
        await server?.stop();
    });

    for (const name of Object.keys({ ...cases, ...answererCases, ...directCases })) {
        test(name, async (context) => {
            const note = await firefox.run(name, server.direct[0]);
            if (note) context.diagnostic(note);
        });
    }

    test("is sent SCTP packets without checksums where it offers to take them", async () => {
        const peer = await firefox.run("connectAndStay");
        assert.equal(await server.zeroChecksum(peer), false);
    });

    // The last: it takes the browser with it.
    test("is missed within 15 s when its process is killed", async (context) => {
        const peer = await firefox.run("connectAndStay");
        const began = performance.now();
        firefox.kill();
        const closed = await server.event(peer, "closed", 60_000);
        const took = performance.now() - began;
        context.diagnostic(`${closed.reason} after ${Math.round(took)} ms`);
        assert.ok(took <= NOTICED_WITHIN_MS, `noticed after ${took} ms`);
    });
});
