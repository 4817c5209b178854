// Exits with 0 when node_modules holds what package-lock.json says, so that `npm ci`, which takes
// seconds and a network, runs only when it has something to do.

import { readFileSync } from "node:fs";

const root = new URL("../", import.meta.url);
const packagesOf = (path) => JSON.parse(readFileSync(new URL(path, root), "utf8")).packages;

function isCurrent() {
    let installed;
    try {
        installed = packagesOf("node_modules/.package-lock.json"); // npm's own record
    } catch {
        return false;
    }
    return Object.entries(packagesOf("package-lock.json")).every(
        ([path, wanted]) =>
            path === "" ||
            installed[path]?.version === wanted.version ||
            (wanted.optional && !installed[path]), // for another kind of machine
    );
}

process.exit(isCurrent() ? 0 : 1);
