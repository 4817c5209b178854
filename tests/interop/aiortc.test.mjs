// aiortc (WebRTC in Python) as the offerer, where Debian's python3-aiortc is installed.

import { spawnSync } from "node:child_process";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

import { runPeerProcess } from "./peer_process.mjs";

const python = "/usr/bin/python3";
const installed = spawnSync(python, ["-c", "import aiortc"]).status === 0;
/** Each way. Pure Python carries one or two a second. */
const megabytes = "2";

test(
    "aiortc carries messages both ways",
    { skip: installed ? false : "python3-aiortc is not installed" },
    () => runPeerProcess(python, [fileURLToPath(new URL("aiortc_peer.py", import.meta.url)), megabytes]),
);
