// The SDK of client/ for tests in plain JavaScript: bundled when it is asked for, so never stale.

import { execFileSync } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

export async function loadSdk() {
    const folder = await mkdtemp(join(tmpdir(), "kollator-sdk-"));
    const bundle = join(folder, "sdk.mjs");
    const source = fileURLToPath(new URL("../../client/src/index.ts", import.meta.url));
    execFileSync("esbuild", [source, "--bundle", "--platform=node", "--format=esm",
        "--log-level=warning", `--outfile=${bundle}`]);
    try {
        return await import(pathToFileURL(bundle).href);
    } finally {
        await rm(folder, { recursive: true, force: true });
    }
}
