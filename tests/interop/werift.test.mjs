// werift (WebRTC in TypeScript).

import { megabytes } from "./megabytes.mjs";
import { offerer } from "./offerers.mjs";
import { runCases } from "./run_cases.mjs";

// Pure JavaScript, DTLS included: a tenth of the bytes is work enough for it.
runCases("werift", {
    RTCPeerConnection: await offerer("werift"),
    megabytes: megabytes(10),
    zeroChecksum: false,
    skip: {
        "restarts ICE while its channel lives on":
            "each of its offers names another session, so it cannot be known for the same one (RFC 8829, 5.2.2)",
    },
});
