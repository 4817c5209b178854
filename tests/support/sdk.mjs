// The SDK of client/ for tests in plain JavaScript: bundled when it is asked for, so never stale.

import { execFileSync } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

/** One module, for "node" or a "browser". */
export function bundleSdk(platform) {
    const source = fileURLToPath(new URL("../../client/src/index.ts", import.meta.url));
    return execFileSync("esbuild", [source, "--bundle", `--platform=${platform}`, "--format=esm",
        "--log-level=warning"]);
}

export async function loadSdk() {
    const folder = await mkdtemp(join(tmpdir(), "kollator-sdk-"));
    const bundle = join(folder, "sdk.mjs");
    await writeFile(bundle, bundleSdk("node"));
    try {
        return await import(pathToFileURL(bundle).href);
    } finally {
        await rm(folder, { recursive: true, force: true });
    }
}
