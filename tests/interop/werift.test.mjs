// werift (WebRTC in TypeScript) as the offerer.

import { offerer } from "./offerers.mjs";
import { runCases } from "./run_cases.mjs";

// Pure JavaScript, DTLS included: a tenth of the bytes is work enough for it.
runCases("werift", { RTCPeerConnection: await offerer("werift"), scale: 0.1 });
