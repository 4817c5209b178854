// @roamhq/wrtc (Google's WebRTC for Node).

import { offerer } from "./offerers.mjs";
import { runCases } from "./run_cases.mjs";

runCases("@roamhq/wrtc", {
    RTCPeerConnection: await offerer("@roamhq/wrtc"),
    scale: Number(process.env.KOLLATOR_WRTC_SCALE ?? 0.2),
});
