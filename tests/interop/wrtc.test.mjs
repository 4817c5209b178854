// @roamhq/wrtc (Google's WebRTC for Node).

import { megabytes } from "./megabytes.mjs";
import { offerer } from "./offerers.mjs";
import { runCases } from "./run_cases.mjs";

runCases("@roamhq/wrtc", {
    RTCPeerConnection: await offerer("@roamhq/wrtc"),
    megabytes: megabytes(100),
    zeroChecksum: false,
});
