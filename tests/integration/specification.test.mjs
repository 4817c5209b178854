// Every setting and every HTTP endpoint is named by some test, and docs/specification.md names
// tests and files that are there.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { existsSync, readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";

const root = process.env.KOLLATOR_SOURCE_DIR;
const own = "specification.test.mjs";

function filesUnder(folder, wanted) {
    return readdirSync(join(root, folder), { recursive: true, withFileTypes: true })
        .filter((entry) => entry.isFile() && wanted.test(entry.name) && entry.name !== own)
        .map((entry) => join(entry.parentPath, entry.name))
        .filter((path) => !path.includes("node_modules"));
}

const textOf = (files) => files.map((file) => readFileSync(file, "utf8")).join("\n");
const tests = textOf([
    ...filesUnder("src", /_test\.cc$/),
    ...filesUnder("tests", /\.(mjs|cc|h)$/),
    ...filesUnder("client", /\.test\.ts$/),
    ...filesUnder("web", /\.test\.ts$/),
]);

test("each variable of the settings table is named by a test", () => {
    const table = execFileSync(process.env.KOLLATOR_BIN, ["settings"]).toString();
    const names = [...table.matchAll(/^\| `([A-Z0-9_]+)`/gm)].map((found) => found[1]);
    assert.ok(names.length > 50, `${names.length} settings`);
    const missing = names.filter((name) => !new RegExp(`\\b${name}\\b`).test(tests));
    assert.deepEqual(missing, [], "no test names these");
});

test("each endpoint is named by a test", () => {
    const sources = textOf(filesUnder("src", /^(?!.*_test).*\.cc$/));
    const routes = [...sources.matchAll(/route\("([A-Z]+)", "(\/[^"]*)"/g)];
    assert.ok(routes.length >= 12, `${routes.length} routes`);
    for (const [, method, path] of routes) {
        const fixed = path.replace(/\{.*/, "");
        assert.ok(tests.includes(fixed), `no test names ${method} ${path}`);
    }
});

test("the table of the specification names what is there", () => {
    const page = readFileSync(join(root, "docs/specification.md"), "utf8");
    const rows = page.split("\n").filter((line) => line.startsWith("| ") && !line.startsWith("| ---"));
    assert.ok(rows.length > 40, `${rows.length} rows`);
    const paths = [...page.matchAll(/`((?:src|tests|bench|client|web|docs|deploy|tools|fuzz)\/[\w./-]+)`/g)];
    assert.ok(paths.length > 60, `${paths.length} paths`);
    for (const [, path] of paths) assert.ok(existsSync(join(root, path)), `${path} is not there`);
});
