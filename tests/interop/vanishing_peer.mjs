// Connects, and is killed: node vanishing_peer.mjs <offerer>, signaling over the parent's channel.

import { connectAndStay } from "./cases.mjs";
import { offerer } from "./offerers.mjs";

const RTCPeerConnection = await offerer(process.argv[2]);
const signal = {
    offer(sdp) {
        process.send({ offer: sdp });
        return new Promise((resolve) => process.once("message", resolve));
    },
};
process.send({ connected: await connectAndStay({ RTCPeerConnection, signal }) });
setInterval(() => {}, 1_000);
