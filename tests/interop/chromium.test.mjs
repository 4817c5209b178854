// Debian's Chromium: the same cases, run inside a page.

import assert from "node:assert/strict";
import { createServer } from "node:http";
import { after, before, test } from "node:test";
import { chromium } from "playwright-core";

import { answererCases } from "./answerer_cases.mjs";
import { cases } from "./cases.mjs";
import { directCases } from "./direct_cases.mjs";
import { EchoServer } from "./echo_server.mjs";
import { megabytes } from "./megabytes.mjs";
import { pageScripts } from "./page_scripts.mjs";

const NOTICED_WITHIN_MS = 15_000;
const executablePath = process.env.KOLLATOR_CHROMIUM ?? "/usr/bin/chromium";
const args = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
];

let server;
let files;
let launched;
let browser;
let page;

async function openPage() {
    const fresh = await browser.newPage();
    await fresh.exposeFunction("signalOffer", (sdp) => server.offer(sdp));
    await fresh.exposeFunction("signalReoffer", (peer, sdp) => server.reoffer(peer, sdp));
    await fresh.exposeFunction("signalMakeOffer", (labels) => server.makeOffer(labels));
    await fresh.exposeFunction("signalAccept", (peer, sdp) => server.acceptAnswer(peer, sdp));
    await fresh.exposeFunction("signalCandidate", (peer, text) => server.candidate(peer, text));
    await fresh.exposeFunction("signalClose", (peer, reason) => server.close(peer, reason));
    await fresh.exposeFunction("signalEvent", (peer, name, ms) => server.event(peer, name, ms));
    await fresh.goto(`http://127.0.0.1:${files.address().port}/`);
    await fresh.evaluate(async ({ direct, megabytes }) => {
        const { cases, connectAndStay } = await import("/cases.mjs");
        const { answererCases } = await import("/answerer_cases.mjs");
        const { directCases } = await import("/direct_cases.mjs");
        globalThis.library = { ...cases, ...answererCases, ...directCases, connectAndStay };
        globalThis.environment = {
            RTCPeerConnection,
            megabytes,
            direct,
            signal: {
                offer: signalOffer,
                reoffer: signalReoffer,
                makeOffer: signalMakeOffer,
                acceptAnswer: signalAccept,
                candidate: signalCandidate,
                close: signalClose,
                event: signalEvent,
            },
        };
    }, { direct: server.direct[0], megabytes: megabytes(100) });
    return fresh;
}

before(async () => {
    server = await EchoServer.start();
    const scripts = await pageScripts();
    files = createServer((request, response) => {
        const script = scripts.get(request.url);
        response.setHeader("Content-Type", script ? "text/javascript" : "text/html");
        response.end(script ?? "<!doctype html><title>interop</title>");
    });
    await new Promise((resolve) => files.listen(0, "127.0.0.1", resolve));
    launched = await chromium.launchServer({ executablePath, args, headless: true });
    browser = await chromium.connect(launched.wsEndpoint());
    page = await openPage();
});

after(async () => {
    await launched?.kill();
    files?.close();
    await server?.stop();
});

for (const name of Object.keys({ ...cases, ...answererCases, ...directCases })) {
    test(name, async (context) => {
        const note = await page.evaluate((each) => library[each](environment), name);
        if (note) context.diagnostic(note);
    });
}

test("is sent SCTP packets without checksums where it offers to take them", async () => {
    const peer = await page.evaluate(() => library.connectAndStay(environment));
    assert.equal(await server.zeroChecksum(peer), false);
});

// The last: it takes the browser with it.
test("is missed within 15 s when its process is killed", async (context) => {
    const peer = await page.evaluate(() => library.connectAndStay(environment));
    const began = performance.now();
    launched.process().kill("SIGKILL");
    const closed = await server.event(peer, "closed", 60_000);
    const took = performance.now() - began;
    context.diagnostic(`${closed.reason} after ${Math.round(took)} ms`);
    assert.ok(took <= NOTICED_WITHIN_MS, `noticed after ${took} ms`);
});
