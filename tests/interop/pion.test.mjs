// Pion (WebRTC in Go) as the offerer, where Debian's golang-go and its Pion are installed.

import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import { copyFile, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";

import { runPeerProcess } from "./peer_process.mjs";

const go = "/usr/bin/go";
const sources = "/usr/share/gocode"; // where Debian's packages of Go libraries are
/** Each way. */
const megabytes = "100";

function whyNot() {
    if (!existsSync(go)) return "golang-go is not installed";
    const pion = existsSync(join(sources, "src/github.com/pion/webrtc"));
    return !pion && "golang-github-pion-webrtc.v3-dev is not installed";
}

test("Pion carries messages both ways", { skip: whyNot() }, async (context) => {
    const folder = await mkdtemp(join(tmpdir(), "kollator-pion-"));
    context.after(() => rm(folder, { recursive: true }));
    // Debian's packages are for GOPATH mode, in which only code with a go.mod finds a "/v3".
    const home = join(folder, "src/pion_peer");
    await mkdir(home, { recursive: true });
    await copyFile(new URL("pion_peer.go", import.meta.url), join(home, "main.go"));
    await writeFile(join(home, "go.mod"), "module pion_peer\n");
    const peer = join(folder, "pion_peer");
    const GOPATH = `${folder}:${sources}`;
    execFileSync(go, ["build", "-o", peer, "."], {
        cwd: home,
        env: { HOME: folder, ...process.env, GO111MODULE: "off", GOPATH, GOFLAGS: "" },
    });
    const began = performance.now();
    await runPeerProcess(peer, [megabytes]);
    const seconds = (performance.now() - began) / 1000;
    context.diagnostic(`${Math.round((2 * megabytes) / seconds)} MB/s, both ways at once`);
});
