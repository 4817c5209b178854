// The WebRTC packages for Node that tests offer with, by name.

export async function offerer(name) {
    if (name === "werift") return (await import("werift")).RTCPeerConnection;
    if (name === "@roamhq/wrtc") return (await import("@roamhq/wrtc")).default.RTCPeerConnection;
    if (name === "node-datachannel") return nodeDatachannel();
    throw new Error(`no such offerer: ${name}`);
}

async function nodeDatachannel() {
    const { RTCPeerConnection } = await import("node-datachannel/polyfill");
    // libdatachannel has set its local description by the time that createOffer() tells it. Setting
    // it again begins a second negotiation, which at times takes the ICE transport away from the
    // first ("Got a remote candidate without ICE transport").
    return class extends RTCPeerConnection {
        async setLocalDescription() {}
    };
}
