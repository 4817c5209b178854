// aiortc (WebRTC in Python), where Debian's python3-aiortc is installed.

import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";

import { megabytes } from "./megabytes.mjs";
import { peerProcessTests } from "./peer_process.mjs";

const python = "/usr/bin/python3";
const installed = spawnSync(python, ["-c", "import aiortc"]).status === 0;

peerProcessTests("aiortc", {
    skip: installed ? false : "python3-aiortc is not installed",
    start: () => ({
        program: python,
        args: [fileURLToPath(new URL("aiortc_peer.py", import.meta.url))],
    }),
    megabytes: megabytes(10), // pure Python carries two or three a second
    maxBytes: 65_536,
});
