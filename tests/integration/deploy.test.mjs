// What deploy/ names exists: settings, packages, files. That the image works is proved by
// tools/prove-image.py, by hand: it takes a build.

import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { run } from "../support/worker.mjs";

const root = process.env.KOLLATOR_SOURCE_DIR;
const read = (path) => readFileSync(join(root, "deploy", path), "utf8");
const table = execFileSync(process.env.KOLLATOR_BIN, ["settings"]).toString();
const settings = new Set([...table.matchAll(/^\| `([A-Z0-9_]+)`/gm)].map(([, name]) => name));

const dockerfile = read("Dockerfile").replace(/^#.*\n/gm, "").replace(/\\\n/g, " ");
const finalStage = dockerfile.slice(dockerfile.lastIndexOf("FROM "));

test("the image runs as a user of its own, with a health check, on Debian 12", () => {
    const images = [...dockerfile.matchAll(/^FROM (\S+)/gm)].map(([, image]) => image);
    assert.deepEqual(images, ["debian:12", "debian:12"]);
    assert.match(finalStage, /^USER kollator$/m);
    assert.ok(finalStage.indexOf("USER") < finalStage.indexOf("ENTRYPOINT"));
    assert.match(finalStage, /^HEALTHCHECK .*CMD \["healthcheck"\]$/m);
    for (const [, name] of finalStage.matchAll(/^ENV ([A-Z_]+)=/gm)) assert.ok(settings.has(name), name);
    for (const [, from] of dockerfile.matchAll(/^COPY (?!--from)(\S+)/gm)) {
        assert.ok(existsSync(join(root, from)), from);
    }
});

test("the image has every library that the executable needs", (context) => {
    const libraries = execFileSync("ldd", [process.env.KOLLATOR_BIN]).toString();
    const needed = new Set(
        [...execFileSync("readelf", ["-d", process.env.KOLLATOR_BIN]).toString().matchAll(/NEEDED.*\[(.*)\]/g)]
            .map(([, name]) => name));
    const packages = new Set();
    for (const [, name, path] of libraries.matchAll(/^\s*(\S+) => (\/\S+)/gm)) {
        if (!needed.has(name)) continue; // another library brings it
        for (const each of [path, path.replace(/^\/lib/, "/usr/lib")]) {
            const found = spawnSync("dpkg", ["-S", execFileSync("readlink", ["-f", each]).toString().trim()]);
            if (found.status === 0) packages.add(found.stdout.toString().split(":")[0]);
        }
    }
    context.diagnostic([...packages].join(" "));
    assert.ok(packages.size > 5);
    const base = ["libc6", "libgcc-s1"];
    const installed = new Set(finalStage.split(/[\s;]+/));
    const missing = [...packages].filter((name) => !base.includes(name) && !installed.has(name));
    assert.deepEqual(missing, []);
});

test("compose.yaml names settings that exist, and values that a worker takes", async () => {
    const compose = read("compose.yaml");
    const given = [...compose.matchAll(/^ +([A-Z][A-Z0-9_]+): (.*)$/gm)]
        .filter(([, name]) => !name.startsWith("MINIO_"));
    assert.ok(given.length > 15);
    for (const [, name] of given) assert.ok(settings.has(name), `${name} is no setting`);
    for (const service of ["worker-1", "worker-2", "front", "s3", "coturn"]) {
        assert.match(compose, new RegExp(`^  ${service}:$`, "m"));
    }
    // As compose would hand them over; the key is missing, which is told after the settings.
    const value = (text) => text.replace(/^"(.*)"$/, "$1").replace(/\$\{\w+:-([^}]*)\}/g, "$1");
    const worker = Object.fromEntries(given.map(([, name, text]) => [name, value(text)]));
    const folder = mkdtempSync(join(tmpdir(), "kollator-deploy-"));
    for (const role of ["worker", "front"]) {
        const child = run(role, { ...worker, DATA_DIR: folder, WORKER_SHARED_KEY_PATH: join(folder, "none") });
        let said = "";
        child.stderr.on("data", (bytes) => (said += bytes));
        await new Promise((ended) => child.on("close", ended));
        assert.match(said, /the shared key .* is missing/, said);
        assert.doesNotMatch(said, /expected/, said);
    }
    rmSync(folder, { recursive: true });
});

test("the systemd units are sound, hardened, and name settings that exist", () => {
    const folder = mkdtempSync(join(tmpdir(), "kollator-units-"));
    for (const name of readdirSync(join(root, "deploy/systemd"))) {
        const unit = read(`systemd/${name}`);
        for (const [, setting] of unit.matchAll(/^Environment=([A-Z_]+)=/gm)) {
            assert.ok(settings.has(setting), setting);
        }
        assert.match(unit, /^NoNewPrivileges=yes$/m);
        assert.match(unit, /^ProtectSystem=strict$/m);
        // The program is not installed here.
        const path = join(folder, name);
        writeFileSync(path, unit.replace(/^ExecStart=\S+/m, "ExecStart=/bin/true"));
        const verified = spawnSync("systemd-analyze", ["verify", path]);
        if (verified.error) continue; // no systemd on this machine
        assert.equal(verified.status, 0, verified.stderr.toString());
        assert.equal(verified.stderr.toString(), "");
    }
    rmSync(folder, { recursive: true });
});
