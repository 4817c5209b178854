// node-datachannel (libdatachannel) as the offerer.

import { after } from "node:test";

import { cleanup } from "node-datachannel";

import { offerer } from "./offerers.mjs";
import { runCases } from "./run_cases.mjs";

// Its threads keep the process alive otherwise.
after(() => cleanup());

runCases("node-datachannel", {
    RTCPeerConnection: await offerer("node-datachannel"),
    scale: 1,
    skip: { "restarts ICE while its channel lives on": "it cannot (libdatachannel 0.24)" },
});
