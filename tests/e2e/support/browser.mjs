// A browser profile with the page in it, watched: console errors and breaches of the content
// security policy fail the test that caused them.

import assert from "node:assert/strict";
import { mkdtemp, readFile, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { chromium } from "playwright-core";

const ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
];

/** The machine may be slow and busy: what a person would wait for, many times over. */
export const PATIENCE_MS = 300_000;

/** @param {import("playwright-core").BrowserContextOptions} [options] */
export async function openProfile(options = {}) {
    const folder = await mkdtemp(join(tmpdir(), "kollator-e2e-profile-"));
    const context = await chromium.launchPersistentContext(folder, {
        executablePath: "/usr/bin/chromium",
        args: ARGUMENTS,
        acceptDownloads: true,
        // Where the locale is POSIX, Chromium neither reads nor saves names beyond ASCII.
        env: { ...process.env, LC_ALL: "C.UTF-8" },
        ...options,
    });
    context.setDefaultTimeout(PATIENCE_MS);
    return new Profile(folder, context);
}

export class Profile {
    /** What the page complained of. */
    complaints = [];
    #folder;
    #context;

    constructor(folder, context) {
        this.#folder = folder;
        this.#context = context;
    }

    get context() {
        return this.#context;
    }

    async openPage() {
        const page = await this.#context.newPage();
        page.on("console", (message) => {
            if (message.type() === "error") this.complaints.push(message.text());
        });
        page.on("pageerror", (error) => this.complaints.push(String(error)));
        page.on("dialog", (dialog) => dialog.accept());
        await page.addInitScript(() => {
            addEventListener("securitypolicyviolation", (event) =>
                console.error(`policy breached: ${event.violatedDirective} ${event.blockedURI}`),
            );
            // A headless browser has nobody to answer the picker: as in Firefox and Safari, the
            // page keeps the file and hands it over as a download.
            delete Window.prototype.showSaveFilePicker;
            delete window.showSaveFilePicker;
        });
        return page;
    }

    /** `expected`: complaints that belong to the test, as when the server is gone. */
    assertNoComplaints(expected = /^$/) {
        assert.deepEqual(
            this.complaints.filter((text) => !expected.test(text)),
            [],
        );
    }

    /** Bytes of memory that the page's processes hold for themselves. */
    async rendererBytes() {
        const sizes = await Promise.all((await readdir("/proc")).map((pid) => this.#anonymous(pid)));
        return Math.max(0, ...sizes);
    }

    async close() {
        await this.#context.close();
        await rm(this.#folder, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 });
    }

    async #anonymous(pid) {
        if (!/^\d+$/.test(pid)) return 0;
        try {
            const commandLine = await readFile(`/proc/${pid}/cmdline`, "utf8");
            if (!commandLine.includes("--type=renderer")) return 0;
            if (!(await this.#isOurs(pid))) return 0;
            const status = await readFile(`/proc/${pid}/status`, "utf8");
            return 1024 * Number(/RssAnon:\s+(\d+)/.exec(status)?.[1] ?? 0);
        } catch {
            return 0; // It ended meanwhile.
        }
    }

    /** Whether an ancestor is the browser that runs on this profile's folder. */
    async #isOurs(pid) {
        for (let ancestor = pid; ancestor > 1; ) {
            const commandLine = await readFile(`/proc/${ancestor}/cmdline`, "utf8");
            if (commandLine.includes(`--user-data-dir=${this.#folder}`)) return true;
            const status = await readFile(`/proc/${ancestor}/status`, "utf8");
            ancestor = Number(/PPid:\s+(\d+)/.exec(status)?.[1] ?? 0);
        }
        return false;
    }
}

/** Samples memory until stop() is called, which gives what was seen. */
export async function watchMemory(profile, page) {
    const session = await profile.context.newCDPSession(page);
    await session.send("Performance.enable");
    await session.send("HeapProfiler.collectGarbage");
    const sample = async () => {
        const { metrics } = await session.send("Performance.getMetrics");
        const heapBytes = metrics.find(({ name }) => name === "JSHeapUsedSize").value;
        return { heapBytes, rendererBytes: await profile.rendererBytes() };
    };
    const before = await sample();
    const peak = { ...before };
    let running = true;
    const loop = (async () => {
        while (running) {
            const now = await sample().catch(() => undefined);
            if (!now) return; // The page was closed: the test failed, and says why.
            peak.heapBytes = Math.max(peak.heapBytes, now.heapBytes);
            peak.rendererBytes = Math.max(peak.rendererBytes, now.rendererBytes);
            await new Promise((resolve) => setTimeout(resolve, 250));
        }
    })();
    return {
        async stop() {
            running = false;
            await loop;
            return { before, peak };
        },
    };
}

/** Opens the page and waits until it has a worker. */
export async function openConnected(profile, url) {
    const page = await profile.openPage();
    await page.goto(url);
    await page.waitForSelector("#connection[data-state=connected]");
    return page;
}

/** Adds a file; resolves with its link when it is stored. */
export async function share(page, path) {
    await page.setInputFiles("#file-input", path);
    return linkOfStored(page);
}

export async function linkOfStored(page) {
    await page.waitForSelector(".row[data-state=done], .row[data-state=failed]");
    const status = await page.textContent(".row .status");
    assert.equal(await page.getAttribute(".row", "data-state"), "done", status);
    return page.inputValue(".row [data-link]");
}

/** Opens a link, saves its file, and gives the path of what was saved. */
export async function save(page, link) {
    await page.goto(link);
    await page.waitForSelector("#receive-view:is([data-state=ready], [data-state=failed])");
    const status = await page.textContent("#receive-view .status");
    assert.equal(await page.getAttribute("#receive-view", "data-state"), "ready", status);
    const downloading = page.waitForEvent("download");
    await page.click("#receive-view [data-save]");
    const download = await downloading;
    return { path: await download.path(), name: download.suggestedFilename() };
}
