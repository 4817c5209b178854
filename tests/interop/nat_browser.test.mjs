// The page in Debian's Chromium behind NATs: a file is shared and saved again, and the routers'
// counters say by which way it went.

import assert from "node:assert/strict";
import { chmod, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";

import { openConnected, openProfile, save, share } from "../e2e/support/browser.mjs";
import { sha256Of } from "../e2e/support/files.mjs";
import { whyNoLab } from "../support/nat_lab.mjs";
import { NatBed, TURN, assertWay } from "./nat_bed.mjs";

const FILE_BYTES = 3_000_000;

// As in nat.test.mjs: the browser's NAT, the worker's, who has a relay, the ways.
const table = [
    ["full cone", "full cone", {}, "direct", "direct"],
    ["symmetric", "full cone", {}, "direct", "direct"],
    ["port-restricted", "port-restricted", {}, "direct", "direct"],
    ["symmetric", "symmetric", { client: "udp" }, "turnUdp", "relayed"],
    ["UDP blocked", "symmetric", { client: "tcp" }, "turnTcp", "relayed"],
    ["UDP blocked", "UDP blocked", { client: "tls", worker: "tcp" }, "turnTls", "turnTcp"],
];

let bed;
const skip = whyNoLab();

before(async () => {
    if (!skip) bed = await NatBed.make(FILE_BYTES);
});
after(() => bed?.end());

/** An executable: Chromium at a site, which takes the relay's certificate for what it is. */
async function chromiumAt(site) {
    const path = join(bed.folder, `chromium-${site.wan}`);
    const words = [...site.host.via, "/usr/bin/chromium", "--ignore-certificate-errors"];
    await writeFile(path, `#!/bin/sh\nexec ${words.join(" ")} "$@"\n`);
    await chmod(path, 0o755);
    return path;
}

async function inProfile(executablePath, front, task) {
    const profile = await openProfile({ executablePath });
    try {
        const result = await task(await openConnected(profile, front));
        profile.assertNoComplaints();
        return result;
    } finally {
        await profile.close();
    }
}

describe("the page's transfers go", { skip }, () => {
    for (const [clientNat, workerNat, relays, clientWay, workerWay] of table) {
        const who = Object.entries(relays).map(([side, transport]) => `${side}'s by ${transport}`);
        const name = `${clientNat} to ${workerNat}, relays: ${who.join(" and ") || "none"}`;
        test(name, async (context) => {
            const relay = relays.client && { TURN_SERVERS: TURN[relays.client] };
            const front = await bed.startFront(context, relay);
            const { client, site, close } = await bed.makeSites(clientNat, workerNat, () => ({
                ...bed.behindFront(front),
                ...(relays.worker && { TURN_SERVERS: TURN[relays.worker] }),
            }));
            context.after(close);
            await bed.knownTo(front, client);
            const chromium = await chromiumAt(client);
            const link = await inProfile(chromium, front, (page) => share(page, bed.file));
            await inProfile(chromium, front, async (page) => {
                const saved = await save(page, link);
                assert.equal(await sha256Of(saved.path), await sha256Of(bed.file));
            });
            assertWay(client, clientWay, FILE_BYTES);
            assertWay(site, workerWay, FILE_BYTES);
        });
    }
});
