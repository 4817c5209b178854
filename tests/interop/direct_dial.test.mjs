// Direct dial (docs/protocol.md 1.3) to whole workers, by the addresses that they print: Chromium and
// node-datachannel by the SDK, and the command line. Nobody uses HTTP or a WebSocket.

import assert from "node:assert/strict";
import { readFile, rm } from "node:fs/promises";
import { createServer } from "node:http";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";

import { cleanup } from "node-datachannel";

import { openProfile } from "../e2e/support/browser.mjs";
import { scratchFolder, sha256Of, writeRandomFile } from "../e2e/support/files.mjs";
import { kollator } from "../support/cli.mjs";
import { bundleSdk, loadSdk } from "../support/sdk.mjs";
import { startWorker, until } from "../support/worker.mjs";
import { fetchDirectly } from "./direct_fetch.mjs";
import { offerer } from "./offerers.mjs";

const CHUNK_BYTES = 1_500_000;

let folder;
let file;
let chunk;
const clients = {};
before(async () => {
    folder = await scratchFolder();
    file = await writeRandomFile(join(folder, "chunk.bin"), CHUNK_BYTES, "direct-dial");
    chunk = await sha256Of(file); // a file that is one chunk has its name
    for (const [name, open] of Object.entries(openers)) clients[name] = await open();
});
after(async () => {
    for (const client of Object.values(clients)) await client.close();
    await rm(folder, { recursive: true, force: true });
});

/** Another certificate's hash in the address. */
function withWrongHash(address) {
    const at = address.length - 10;
    return address.slice(0, at) + (address[at] === "A" ? "B" : "A") + address.slice(at + 1);
}

const openers = {
    "node-datachannel": async () => {
        const RTCPeerConnection = await offerer("node-datachannel");
        const sdk = await loadSdk();
        const openPeerConnection = (configuration) => new RTCPeerConnection(configuration);
        return {
            fetchDirectly: (...what) => fetchDirectly({ sdk, openPeerConnection }, ...what),
            close: cleanup,
        };
    },

    "Chromium": async () => {
        const modules = {
            "/sdk.mjs": bundleSdk("browser"),
            "/direct_fetch.mjs": await readFile(new URL("direct_fetch.mjs", import.meta.url)),
        };
        const files = createServer((request, response) => {
            const script = modules[request.url];
            response.setHeader("Content-Type", script ? "text/javascript" : "text/html");
            response.end(script ?? "<!doctype html><link rel=icon href=data:><title>dial</title>");
        });
        await new Promise((resolve) => files.listen(0, "127.0.0.1", resolve));
        const profile = await openProfile();
        const page = await profile.openPage();
        await page.goto(`http://127.0.0.1:${files.address().port}/`);
        return {
            fetchDirectly: (...what) =>
                page.evaluate(async (given) => {
                    const sdk = await import("/sdk.mjs");
                    const { fetchDirectly } = await import("/direct_fetch.mjs");
                    const openPeerConnection = (configuration) => new RTCPeerConnection(configuration);
                    return fetchDirectly({ sdk, openPeerConnection }, ...given);
                }, what),
            async close() {
                profile.assertNoComplaints();
                await profile.close();
                files.closeAllConnections();
                files.close();
            },
        };
    },
};

// "dev" listens on all addresses, as it does for people.
const workers = { worker: {}, dev: { HOST: "0.0.0.0", FRONT_PORT: "0" } };

for (const [command, settings] of Object.entries(workers)) {
    describe(`kollator ${command}`, () => {
        let worker;
        let link;
        before(async () => {
            worker = await startWorker(settings, command);
            assert.ok(worker.direct.length >= 1, "it prints an address");
            const put = await kollator(["put", file, "--address", worker.direct[0]]);
            assert.equal(put.code, 0, put.stderr);
            [link] = put.lines;
        });
        after(async () => assert.equal(await worker?.stop(), 0));

        test("prints addresses, which the command line dials", async () => {
            assert.deepEqual(worker.direct, (await worker.get("/stats")).directAddresses);
            for (const address of worker.direct) {
                assert.match(address, /^\/ip4\/[\d.]+\/udp\/\d+\/webrtc-direct\/certhash\/uEi[\w-]+$/);
                const got = await kollator(["get", link, "-o", "-", "--address", address]);
                assert.ok(got.stdout.equals(await readFile(file)), got.stderr);
            }
            const wrong = await kollator(["get", link, "--address", withWrongHash(worker.direct[0])]);
            assert.equal(wrong.code, 3, wrong.stderr);
            assert.match(wrong.stderr, /by its direct address: .*fingerprint/);
        });

        for (const name of Object.keys(openers)) {
            test(`${name} fetches a chunk by each address`, async () => {
                for (const address of worker.direct) {
                    const told = await clients[name].fetchDirectly(address, chunk);
                    assert.deepEqual(
                        { bytes: told.bytes, sha256: told.sha256, error: told.error },
                        { bytes: CHUNK_BYTES, sha256: chunk, error: undefined },
                    );
                    assert.match(told.workerId, /\w/, "HELLO tells the worker's id");
                }
            });

            test(`${name} refuses a worker with another certificate`, async () => {
                const { total } = (await worker.get("/stats")).connections;
                const address = withWrongHash(worker.direct[0]);
                const wrong = await clients[name].fetchDirectly(address, chunk);
                assert.equal(wrong.kind, "no-worker");
                assert.doesNotMatch(wrong.error, /in time/);
                assert.equal((await worker.get("/stats")).connections.total, total);
            });
        }

        test("nobody stays", async () => {
            await until("the clients are gone", async () => {
                return (await worker.get("/stats")).connections.active === 0;
            });
        });
    });
}
