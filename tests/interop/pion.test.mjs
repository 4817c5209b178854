// Pion (WebRTC in Go), where Debian's golang-go and its Pion are installed.

import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import { copyFile, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before } from "node:test";

import { megabytes } from "./megabytes.mjs";
import { peerProcessTests } from "./peer_process.mjs";

const go = "/usr/bin/go";
const sources = "/usr/share/gocode"; // where Debian's packages of Go libraries are

function whyNot() {
    if (!existsSync(go)) return "golang-go is not installed";
    const pion = existsSync(join(sources, "src/github.com/pion/webrtc"));
    return !pion && "golang-github-pion-webrtc.v3-dev is not installed";
}

const skip = whyNot();
let folder;
let program;

before(async () => {
    if (skip) return;
    folder = await mkdtemp(join(tmpdir(), "kollator-pion-"));
    // Debian's packages are for GOPATH mode, in which only code with a go.mod finds a "/v3".
    const home = join(folder, "src/pion_peer");
    await mkdir(home, { recursive: true });
    await copyFile(new URL("pion_peer.go", import.meta.url), join(home, "main.go"));
    await writeFile(join(home, "go.mod"), "module pion_peer\n");
    program = join(folder, "pion_peer");
    const GOPATH = `${folder}:${sources}`;
    execFileSync(go, ["build", "-o", program, "."], {
        cwd: home,
        env: { HOME: folder, ...process.env, GO111MODULE: "off", GOPATH, GOFLAGS: "" },
    });
});

after(() => folder && rm(folder, { recursive: true }));

peerProcessTests("Pion", {
    skip,
    start: () => ({ program, args: [] }),
    megabytes: megabytes(100),
    maxBytes: 65_535, // it reads none of more
});
