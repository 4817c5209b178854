// node-datachannel (libdatachannel).

import { after } from "node:test";

import { cleanup } from "node-datachannel";

import { megabytes } from "./megabytes.mjs";
import { offerer } from "./offerers.mjs";
import { runCases } from "./run_cases.mjs";

// Its threads keep the process alive otherwise.
after(() => cleanup());

runCases("node-datachannel", {
    RTCPeerConnection: await offerer("node-datachannel"),
    megabytes: megabytes(100),
    zeroChecksum: true,
    skip: { "restarts ICE while its channel lives on": "it cannot (libdatachannel 0.24)" },
});
