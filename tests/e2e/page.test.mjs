// The page itself: errors in words, the keyboard, names for screen readers, contrast, small screens.

import assert from "node:assert/strict";
import { rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, afterEach, before, test } from "node:test";

import { linkOfStored, openConnected, openProfile, save, share } from "./support/browser.mjs";
import { scratchFolder, sha256Of, writeRandomFile } from "./support/files.mjs";
import { startKollator } from "./support/kollator.mjs";

let folder;
let kollator;
let profile;

before(async () => {
    folder = await scratchFolder();
    kollator = await startKollator();
});

after(async () => {
    await kollator?.dispose();
    await rm(folder, { recursive: true, force: true });
});

afterEach(async () => {
    await profile?.close();
    profile = undefined;
});

test("a link to nothing says so, and what to do", async () => {
    profile = await openProfile();
    const page = await openConnected(profile, `${kollator.url}#${"0".repeat(64)}/lost.zip`);
    await page.waitForSelector("#receive-view[data-state=failed]");
    assert.match(await page.textContent("#receive-view .status"), /Nothing is stored.*sender/);
    assert.ok(await page.isVisible("#receive-view [data-retry]"));
    profile.assertNoComplaints();
});

test("without a worker the page says so, and connects when one has come", async () => {
    profile = await openProfile();
    const page = await profile.openPage();
    await page.route("**/bootstrap", (route) =>
        route.fulfill({ status: 503, contentType: "application/json", body: "{}" }),
    );
    await page.goto(kollator.url);
    await page.waitForSelector("#notice:not([hidden])");
    assert.match(await page.textContent("#notice"), /No worker can be reached.*keeps trying/);
    const path = join(folder, "patient.txt");
    await writeFile(path, "waits for a worker");
    await page.setInputFiles("#file-input", path);
    await page.unroute("**/bootstrap");
    // By script: the page's own next try may be quicker, and hide the button.
    await page.$eval("#notice [data-retry]", (button) => button.click());
    await linkOfStored(page);
    assert.equal(await page.isVisible("#notice"), false);
    profile.assertNoComplaints(/503/);
});

test("POST /rtc is used where the relay is cut off", async () => {
    profile = await openProfile();
    const page = await profile.openPage();
    await page.routeWebSocket("**/signaling", (socket) => socket.close());
    const posted = page.waitForRequest((request) => request.url().endsWith("/rtc"));
    await page.goto(kollator.url);
    await posted;
    await page.waitForSelector("#connection[data-state=connected]");
    profile.assertNoComplaints();
});

test("several files at once, an empty one among them, each get their own link", async () => {
    profile = await openProfile();
    const page = await openConnected(profile, kollator.url);
    const paths = ["empty.txt", "small.txt", "twenty.bin"].map((name) => join(folder, name));
    await writeFile(paths[0], "");
    await writeFile(paths[1], "small");
    await writeRandomFile(paths[2], 20_000_000, "e2e-many");
    await page.setInputFiles("#file-input", paths);
    await page.waitForFunction(() => document.querySelectorAll(".row[data-state=done]").length === 3);
    const links = await page.$$eval(".row [data-link]", (fields) => fields.map(({ value }) => value));
    assert.equal(new Set(links).size, 3);
    for (const [i, path] of paths.entries()) {
        // The newest row stands first.
        const saved = await save(page, links[paths.length - 1 - i]);
        assert.equal(await sha256Of(saved.path), await sha256Of(path));
    }
    profile.assertNoComplaints();
});

test("without crypto.subtle, as on plain http, files are hashed all the same", async () => {
    profile = await openProfile();
    const context = profile.context;
    await context.addInitScript(() => {
        Object.defineProperty(Crypto.prototype, "subtle", { get: () => undefined });
    });
    // Web Workers run no init scripts.
    await context.route("**/hash_worker.js", async (route) => {
        const response = await route.fetch();
        const before = 'Object.defineProperty(Crypto.prototype,"subtle",{get:()=>undefined});';
        await route.fulfill({ response, body: before + (await response.text()) });
    });
    const page = await openConnected(profile, kollator.url);
    const path = await writeRandomFile(join(folder, "insecure.bin"), 12_000_000, "e2e-insecure");
    const saved = await save(page, await share(page, path));
    assert.equal(await sha256Of(saved.path), await sha256Of(path));
    profile.assertNoComplaints();
});

test("files that are dropped on the page are shared", async () => {
    profile = await openProfile();
    const page = await openConnected(profile, kollator.url);
    const dropped = await page.evaluateHandle(() => {
        const transfer = new DataTransfer();
        transfer.items.add(new File(["dropped"], "dropped.txt"));
        return transfer;
    });
    await page.dispatchEvent("body", "dragenter", { dataTransfer: dropped });
    await page.waitForSelector("#drop-zone.is-over");
    await page.dispatchEvent("body", "drop", { dataTransfer: dropped });
    assert.match(await linkOfStored(page), /dropped\.txt$/);
    assert.equal(await page.locator("#drop-zone.is-over").count(), 0);
    profile.assertNoComplaints();
});

test("without a private file system the file is kept in Blobs", async () => {
    profile = await openProfile();
    await profile.context.addInitScript(() => {
        delete FileSystemFileHandle.prototype.createWritable;
    });
    const page = await openConnected(profile, kollator.url);
    const path = await writeRandomFile(join(folder, "blobs.bin"), 33_000_000, "e2e-blobs");
    const saved = await save(page, await share(page, path));
    assert.equal(await sha256Of(saved.path), await sha256Of(path));
    profile.assertNoComplaints();
});

test("where the browser lets the reader pick a place, the file is written straight there", async () => {
    profile = await openProfile();
    const page = await openConnected(profile, kollator.url);
    await page.evaluate(() => {
        window.showSaveFilePicker = async ({ suggestedName }) => {
            const root = await navigator.storage.getDirectory();
            return root.getFileHandle(suggestedName, { create: true });
        };
    });
    const path = await writeRandomFile(join(folder, "picked.bin"), 21_000_000, "e2e-picked");
    const link = await share(page, path);
    await page.evaluate((fragment) => (location.hash = fragment), new URL(link).hash);
    await page.click("#receive-view[data-state=ready] [data-save]");
    await page.waitForSelector("#receive-view[data-state=done]");
    const picked = await page.evaluate(async () => {
        const root = await navigator.storage.getDirectory();
        const file = await (await root.getFileHandle("picked.bin")).getFile();
        const digest = await crypto.subtle.digest("SHA-256", await file.arrayBuffer());
        return [...new Uint8Array(digest)].map((it) => it.toString(16).padStart(2, "0")).join("");
    });
    assert.equal(picked, await sha256Of(path));
    profile.assertNoComplaints();
});

/** Headless Chromium at times opens no chooser for the first key press in a page. */
async function chooseByKey(page) {
    for (let attempt = 0; attempt < 5; attempt++) {
        const choosing = page.waitForEvent("filechooser", { timeout: 3_000 }).catch(() => undefined);
        await page.keyboard.press(attempt % 2 === 0 ? "Enter" : "Space");
        const chooser = await choosing;
        if (chooser) return chooser;
    }
    throw new Error("no key press opened the file chooser");
}

test("everything can be done from the keyboard, and focus is always visible", async () => {
    profile = await openProfile({ permissions: ["clipboard-read", "clipboard-write"] });
    const page = await openConnected(profile, kollator.url);
    const focused = () =>
        page.evaluate(() => {
            const element = document.activeElement;
            const shown = element.id === "file-input" ? element.nextElementSibling : element;
            return {
                name: element.id || Object.keys(element.dataset)[0],
                outline: getComputedStyle(shown).outlineStyle,
            };
        });
    const order = [];
    for (let i = 0; i < 3; i++) {
        await page.keyboard.press("Tab");
        const { name, outline } = await focused();
        assert.notEqual(outline, "none", `${name} shows no focus`);
        order.push(name);
    }
    assert.deepEqual(order, ["skipLink", "home", "file-input"]);

    const path = join(folder, "keyboard.txt");
    await writeFile(path, "from the keyboard");
    await (await chooseByKey(page)).setFiles(path);
    const link = await linkOfStored(page);

    await page.focus("#file-input");
    for (let i = 0; (await focused()).name !== "copy"; i++) {
        assert.ok(i < 10, "the copy button is not reached");
        await page.keyboard.press("Tab");
    }
    await page.keyboard.press("Enter");
    await page.waitForFunction(() => document.querySelector("[data-copy]").textContent === "Copied");
    assert.equal(await page.evaluate(() => navigator.clipboard.readText()), link);
    assert.match(await page.textContent("#announcer"), /stored|copied/i);

    await page.goto(link);
    await page.waitForSelector("#receive-view[data-state=ready]");
    const downloading = page.waitForEvent("download");
    await page.focus("#receive-view [data-save]");
    await page.keyboard.press("Enter");
    assert.equal(await sha256Of(await (await downloading).path()), await sha256Of(path));
    profile.assertNoComplaints();
});

test("every control has a name for screen readers", async () => {
    profile = await openProfile();
    const page = await openConnected(profile, kollator.url);
    const path = join(folder, "named.txt");
    await writeFile(path, "named");
    const link = await share(page, path);
    const session = await profile.context.newCDPSession(page);
    const roles = new Set(["button", "link", "textbox", "progressbar", "heading", "image"]);
    const controls = async () => {
        const { nodes } = await session.send("Accessibility.getFullAXTree");
        const found = nodes.filter(({ ignored, role }) => !ignored && roles.has(role?.value));
        return found.map(({ role, name }) => `${role.value}: ${name?.value ?? ""}`);
    };
    const sharing = await controls();
    assert.ok(sharing.includes("textbox: Link to named.txt"), sharing.join("\n"));
    assert.ok(sharing.includes("button: Copy the link to named.txt"));
    assert.ok(sharing.includes("progressbar: Progress of named.txt"));
    assert.ok(sharing.some((name) => /^button: Choose files/.test(name)));
    await page.goto(link);
    await page.waitForSelector("#receive-view[data-state=ready]");
    for (const control of [...sharing, ...(await controls())]) {
        assert.match(control, /: ./, `a control without a name: ${control}`);
    }
    assert.equal(await page.getAttribute("html", "lang"), "en");
    profile.assertNoComplaints();
});

/** Text whose contrast to what is behind it is below WCAG's 4.5 : 1. */
function faintTexts() {
    const channel = (value) => {
        const share = value / 255;
        return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
    };
    const parse = (color) => color.match(/[\d.]+/g).map(Number);
    const luminance = ([r, g, b]) =>
        0.2126 * channel(r) + 0.7152 * channel(g) + 0.0722 * channel(b);
    const behind = (element) => {
        for (let at = element; at; at = at.parentElement) {
            const color = parse(getComputedStyle(at).backgroundColor);
            if ((color[3] ?? 1) > 0.99) return color;
        }
        return [255, 255, 255];
    };
    const ratio = (a, b) => (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    return [...document.querySelectorAll("body *")]
        .filter((element) => {
            const isShown = element.checkVisibility() && !element.closest(":disabled");
            const text = [...element.childNodes].some((n) => n.nodeType === 3 && n.data.trim());
            return isShown && text;
        })
        .map((element) => {
            const text = luminance(parse(getComputedStyle(element).color));
            return { text: element.textContent.trim(), ratio: ratio(text, luminance(behind(element))) };
        })
        .filter((found) => found.ratio < 4.5);
}

for (const colorScheme of ["light", "dark"]) {
    test(`the ${colorScheme} page is legible, and fits a small phone`, async () => {
        const viewport = { width: 320, height: 640 };
        profile = await openProfile({ colorScheme, viewport, isMobile: true, hasTouch: true });
        const page = await openConnected(profile, kollator.url);
        const path = join(folder, `a-rather-long-file-name-that-has-no-spaces-${colorScheme}.tar.gz`);
        await writeFile(path, colorScheme);
        const link = await share(page, path);
        const fits = () =>
            page.evaluate(() => document.documentElement.scrollWidth <= window.innerWidth);
        assert.deepEqual(await page.evaluate(faintTexts), []);
        assert.ok(await fits(), "it scrolls sideways");
        await page.goto(link);
        await page.waitForSelector("#receive-view[data-state=ready]");
        assert.deepEqual(await page.evaluate(faintTexts), []);
        assert.ok(await fits(), "it scrolls sideways");
        profile.assertNoComplaints();
    });
}

test("motion stops for those who asked for less of it", async () => {
    profile = await openProfile({ reducedMotion: "reduce" });
    const page = await openConnected(profile, kollator.url);
    const moving = await page.$$eval(
        "body *",
        (all) => all.filter((it) => getComputedStyle(it).animationName !== "none").length,
    );
    assert.equal(moving, 0);
});
