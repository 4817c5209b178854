// `kollator put`, `get`, `stat` and `health` against whole workers, on a folder and on Ceph.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdir, readFile, readdir, rm, stat, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { scratchFolder, sha256Of, writeRandomFile } from "../e2e/support/files.mjs";
import { startKollator, startPool } from "../e2e/support/kollator.mjs";
import { kollator } from "../support/cli.mjs";
import { startRgw } from "../support/rgw.mjs";
import { startWorker, until } from "../support/worker.mjs";

const CHUNK = 5 * 1024 * 1024;
const NOBODY = "http://127.0.0.1:9"; // the discard port: nobody listens there

let folder;
let file;
let hash;
before(async () => {
    folder = await scratchFolder();
    file = await writeRandomFile(join(folder, "größer & länger.bin"), 4 * CHUNK + 12_345, "cli-1");
    hash = await sha256Of(file);
});
after(() => rm(folder, { recursive: true, force: true }));

const partialsOf = async (path) => (await readdir(path)).filter((name) => name.endsWith(".part"));

function describeWorkerOn(what, startStore) {
    describe(`a worker on ${what}`, () => {
        let store;
        let worker;
        let link;
        let to;
        before(async () => {
            store = await startStore();
            worker = await startWorker(store.environment);
            to = ["--worker", worker.url];
        });
        after(async () => {
            assert.equal(await worker?.stop(), 0);
            await store?.stop();
        });

        test("put prints the link, get brings the same bytes", async () => {
            const put = await kollator(["put", file, ...to]);
            assert.equal(put.code, 0, put.stderr);
            assert.equal(put.stderr, "", "no progress where there is no terminal");
            [link] = put.lines;
            assert.match(link, /^#[0-9a-f]{64}\/gr%C3%B6%C3%9Fer%20%26%20l%C3%A4nger\.bin$/);
            const output = join(folder, "got.bin");
            const got = await kollator(["get", link, "-o", output, ...to]);
            assert.equal(got.code, 0, got.stderr);
            assert.deepEqual(got.lines, [output]);
            assert.equal(await sha256Of(output), hash);
            assert.deepEqual(await partialsOf(folder), []);
            await rm(output);
        });

        test("what is stored already is not sent again", async () => {
            const again = await kollator(["put", file, "--json", ...to]);
            const [told] = again.json();
            assert.equal(told.link, link);
            assert.deepEqual([told.size, told.chunks, told.sent], [4 * CHUNK + 12_345, 5, 0]);
        });

        test("to standard output in order, into a folder by its own name", async () => {
            const piped = await kollator(["get", link, "-o", "-", ...to]);
            assert.equal(piped.code, 0, piped.stderr);
            assert.ok(piped.stdout.equals(await readFile(file)));
            const into = join(folder, `into from ${what}`);
            await mkdir(into, { recursive: true });
            const got = await kollator(["get", link, "-o", into, "--json", ...to]);
            assert.equal(got.json()[0].file, join(into, "größer & länger.bin"));
            assert.equal(got.json()[0].fetched, 5);
            const refused = await kollator(["get", link, "-o", into, ...to]);
            assert.equal(refused.code, 6);
            assert.match(refused.stderr, /exists: --force replaces it/);
            assert.equal((await kollator(["get", link, "-o", into, "--force", ...to])).code, 0);
        });

        test("a partial file is verified, and only what is missing is fetched", async () => {
            const output = join(folder, "resumed.bin");
            const partial = `${output}.${link.slice(1, 9)}.part`;
            const bytes = await readFile(file);
            bytes[2 * CHUNK + 7] ^= 1; // a chunk that is damaged
            await writeFile(partial, bytes.subarray(0, 3 * CHUNK + 100)); // and one cut short
            const got = await kollator(["get", link, "-o", output, "--json", ...to]);
            assert.equal(got.code, 0, got.stderr);
            assert.equal(got.json()[0].fetched, 3);
            assert.equal(await sha256Of(output), hash);
            await rm(output);
        });

        test("small files: empty, one byte, exactly a chunk, text that compresses", async () => {
            const files = [
                ["empty", Buffer.alloc(0)], ["one", Buffer.from("1")],
                ["text", Buffer.from("the same line again\n".repeat(400_000))],
                ["chunk", (await readFile(file)).subarray(0, CHUNK)],
            ].map(([name, bytes]) => [join(folder, name), bytes]);
            for (const [path, bytes] of files) await writeFile(path, bytes);
            const put = await kollator(["put", ...files.map(([path]) => path), ...to]);
            assert.equal(put.code, 0, put.stderr);
            assert.equal(put.lines.length, 4);
            for (const [i, [, bytes]] of files.entries()) {
                const got = await kollator(["get", put.lines[i], "-o", "-", ...to]);
                assert.ok(got.stdout.equals(bytes), `${files[i][0]}: ${got.stderr}`);
            }
        });

        test("stat tells how much of it is stored", async () => {
            const { code, lines, stderr } = await kollator(["stat", link, ...to]);
            assert.equal(code, 0, stderr);
            const [digits, size, stored, cached, name] = lines[0].split("\t");
            assert.equal(digits, link.slice(1, 65));
            assert.deepEqual([size, stored, name], [String(4 * CHUNK + 12_345), "5/5", "größer & länger.bin"]);
            assert.ok(Number(cached) >= 0);
            const missing = await kollator(["stat", "0".repeat(64), "--json", ...to]);
            assert.equal(missing.code, 5);
            assert.deepEqual(missing.json()[0].stored, 0);
        });

        test("health prints the worker's document", async () => {
            const { code, stdout, stderr } = await kollator(["health", ...to]);
            assert.equal(code, 0, stderr);
            assert.equal(JSON.parse(stdout).checks.storage?.status ?? "ok", "ok");
            const { directAddresses } = await worker.get("/stats");
            const direct = await kollator(["health", "--json", "--address", directAddresses[0]]);
            assert.equal(direct.code, 0, direct.stderr);
            assert.equal(direct.json()[0].workerId, JSON.parse(stdout).workerId);
        });

        test("says what is wrong, and by which exit code", async () => {
            const gone = await kollator(["get", "f".repeat(64), "-o", join(folder, "x"), ...to]);
            assert.equal(gone.code, 5);
            assert.match(gone.stderr, /NOT_FOUND/);
            assert.deepEqual(await partialsOf(folder), []);
            const nobody = await kollator(["put", file, "--worker", NOBODY]);
            assert.equal(nobody.code, 3);
            assert.match(nobody.stderr, /127\.0\.0\.1:9/);
            assert.equal((await kollator(["health", "--front", NOBODY])).code, 3);
            const unread = await kollator(["put", join(folder, "none"), file, ...to]);
            assert.equal(unread.code, 6, "the first failure's");
            assert.equal(unread.lines.length, 1, "the other file is put all the same");
            assert.equal((await kollator(["put", folder, ...to])).code, 6, "a folder is no file");
            const unwritable = await kollator(["get", link, "-o", join(folder, "no/such/x"), ...to]);
            assert.equal(unwritable.code, 6);
            for (const wrong of [["get", "not-a-link"], ["get"], ["put"], ["put", file, "--front", "x"],
                ["put", file, "--front", worker.url, "--worker", worker.url]]) {
                assert.equal((await kollator(wrong)).code, 2, wrong.join(" "));
            }
        });
    });
}

describeWorkerOn("a folder", async () => ({ environment: {}, stop: async () => {} }));
describeWorkerOn("Ceph's gateway", async () => {
    const rgw = await startRgw();
    return { environment: rgw.environment(), stop: () => rgw.stop() };
});

test("progress is drawn on a terminal, and taken away", async () => {
    const worker = await startWorker();
    // script(1) gives the command a terminal.
    const command = `${process.env.KOLLATOR_BIN} put '${file}' --worker ${worker.url}`;
    const output = execFileSync("script", ["-qec", command, "/dev/null"]).toString();
    assert.match(output, /\r[^\r]* \d+% \[[#.]{20}\] \d+\.\d\/21\.0 MB/);
    assert.match(output, /\r\x1b\[K#[0-9a-f]{64}/);
    const quiet = execFileSync("script", ["-qec", `${command} --quiet`, "/dev/null"]).toString();
    assert.doesNotMatch(quiet, /%\s*\[/);
    await worker.stop();
});

test("an interrupted put goes on where it was", async () => {
    const worker = await startWorker();
    const big = await writeRandomFile(join(folder, "big.bin"), 20 * CHUNK, "cli-2");
    const killed = await kollator(["put", big, "--worker", worker.url], {}, (child) => {
        until("some chunks are stored", async () => (await worker.get("/stats")).storage.uploadedChunks >= 4)
            .then(() => child.kill("SIGKILL"));
    });
    assert.equal(killed.signal, "SIGKILL");
    const { uploadedChunks } = (await worker.get("/stats")).storage;
    const again = await kollator(["put", big, "--json", "--worker", worker.url]);
    assert.equal(again.code, 0, again.stderr);
    const [{ sent, chunks }] = again.json();
    assert.equal(chunks, 20);
    assert.ok(sent <= 20 - 4, `${sent} of 20 sent again after ${uploadedChunks} were stored`);
    await worker.stop();
});

test("an interrupted get goes on where it was", async () => {
    const worker = await startWorker();
    const big = join(folder, "big.bin");
    const [link] = (await kollator(["put", big, "--worker", worker.url])).lines;
    const output = join(folder, "big.got");
    const partial = `${output}.${link.slice(1, 9)}.part`;
    const killed = await kollator(["get", link, "-o", output, "--worker", worker.url], {}, (child) => {
        until("some of it is written", async () => {
            const size = await stat(partial).then((info) => info.size, () => 0);
            return size >= 5 * CHUNK;
        }).then(() => child.kill("SIGKILL"));
    });
    assert.equal(killed.signal, "SIGKILL");
    await assert.rejects(stat(output), "nothing under its name before it is whole");
    const again = await kollator(["get", link, "-o", output, "--json", "--worker", worker.url]);
    assert.equal(again.code, 0, again.stderr);
    assert.ok(again.json()[0].fetched < 20, `${again.json()[0].fetched} of 20 fetched again`);
    assert.equal(await sha256Of(output), await sha256Of(big));
    await truncate(big, 0);
    await worker.stop();
});

test("through a front: links name it, and another worker takes over", async () => {
    const rgw = await startRgw();
    const pool = await startPool(2, { ...rgw.environment(), HOST: "127.0.0.1" });
    try {
        const big = await writeRandomFile(join(folder, "pool.bin"), 16 * CHUNK, "cli-3");
        const front = pool.front.url.replace(/\/$/, "");
        let victim;
        const put = await kollator(["put", big, "--front", pool.front.url], {}, () => {
            // The worker that was chosen goes in the middle.
            until("a worker has a client", async () => {
                for (const worker of pool.workers) {
                    const { storage } = await worker.stats();
                    if (storage.uploadedChunks >= 3) victim ??= worker;
                }
                return victim;
            }).then(() => victim.kill());
        });
        assert.equal(put.code, 0, put.stderr);
        assert.ok(victim, "a worker was killed");
        assert.match(put.stderr, /trying again/);
        const [link] = put.lines;
        assert.ok(link.startsWith(`${front}/#`), link);
        const output = join(folder, "pool.got");
        const got = await kollator(["get", link, "-o", output]); // the link says where
        assert.equal(got.code, 0, got.stderr);
        assert.equal(await sha256Of(output), await sha256Of(big));
    } finally {
        await pool.dispose();
        await rgw.stop();
    }
});

test("with no worker named, kollator dev's front is asked, or KOLLATOR_FRONT's, or KOLLATOR_URL's", async () => {
    const dev = await startKollator();
    try {
        const one = await kollator(["health"], { KOLLATOR_FRONT: dev.url });
        assert.equal(one.code, 0, one.stderr);
        const other = await kollator(["health"], { KOLLATOR_URL: dev.workerUrl });
        assert.equal(other.code, 0, other.stderr);
        const given = await kollator(["health", "--worker", NOBODY], { KOLLATOR_FRONT: dev.url });
        assert.equal(given.code, 3, "what is given counts for more");
    } finally {
        await dev.dispose();
    }
});
