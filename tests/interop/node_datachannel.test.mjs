// node-datachannel (libdatachannel) as the offerer.

import { offerer } from "./offerers.mjs";
import { runCases } from "./run_cases.mjs";

runCases("node-datachannel", { RTCPeerConnection: await offerer("node-datachannel"), scale: 1 });
