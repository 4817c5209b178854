// Direct dial (docs/protocol.md 1.3): no signaling but the address, which every offerer must be
// able to reach. As cases.mjs: the W3C API and nothing else.

import { Channel, check, equal, pattern, within } from "./support.mjs";

/** {host, port, fingerprint} of "/ip4/…/udp/…/webrtc-direct/certhash/u…". */
function parse(multiaddr) {
    const [, family, host, , port, , , hash] = multiaddr.split("/");
    const text = atob(hash.slice(1).replaceAll("-", "+").replaceAll("_", "/"));
    const digest = Array.from(text.slice(2), (c) => c.charCodeAt(0).toString(16).padStart(2, "0"));
    return { family, host, port, fingerprint: digest.join(":").toUpperCase() };
}

/** The answer that the worker would write. */
function answerOf({ family, host, port, fingerprint }, password) {
    const both = `kollator+webrtc+v1/${password}`;
    return [
        "v=0",
        "o=- 0 0 IN IP4 127.0.0.1",
        "s=-",
        "t=0 0",
        "m=application 9 UDP/DTLS/SCTP webrtc-datachannel",
        `c=IN ${family.toUpperCase()} ${host}`,
        "a=mid:0",
        `a=ice-ufrag:${both}`,
        `a=ice-pwd:${both}`,
        `a=fingerprint:sha-256 ${fingerprint}`,
        "a=setup:passive",
        "a=sctp-port:5000",
        "a=max-message-size:262144",
        `a=candidate:1 1 udp 2130706431 ${host} ${port} typ host`,
        "a=end-of-candidates",
        "",
    ].join("\r\n");
}

/** Connects by the address alone. */
export async function dial({ RTCPeerConnection, direct }, change = (address) => address) {
    const pc = new RTCPeerConnection({ iceServers: [] });
    const channel = new Channel(pc.createDataChannel("echo"));
    await pc.setLocalDescription(await pc.createOffer());
    const password = /a=ice-pwd:(\S+)/.exec(pc.localDescription.sdp)[1];
    const mid = /a=mid:(\S+)/.exec(pc.localDescription.sdp)[1];
    const sdp = answerOf(change(parse(direct)), password).replace("a=mid:0", `a=mid:${mid}`);
    await pc.setRemoteDescription({ type: "answer", sdp });
    return { pc, channel };
}

export const directCases = {
    async "connects by the address alone"(env) {
        const { pc, channel } = await dial(env);
        await channel.open;
        for (const size of [1, 1_200, 65_536]) {
            channel.raw.send(pattern(size, size));
            check(equal(await channel.next(), pattern(size, size)), `${size} bytes changed`);
        }
        pc.close();
    },

    async "dials ten times at once"(env) {
        const all = await Promise.all(Array.from({ length: 10 }, () => dial(env)));
        await Promise.all(
            all.map(async ({ channel }, i) => {
                await channel.open;
                channel.raw.send(pattern(5_000, i));
                check(equal(await channel.next(), pattern(5_000, i)), `echo ${i}`);
            }),
        );
        all.forEach(({ pc }) => pc.close());
    },

    async "does not connect to a worker with another certificate"(env) {
        const { pc, channel } = await dial(env, (address) => ({
            ...address,
            fingerprint: address.fingerprint.replace(/^../, (byte) =>
                (parseInt(byte, 16) ^ 0xff).toString(16).padStart(2, "0").toUpperCase(),
            ),
        }));
        const failed = new Promise((resolve) => {
            const look = () => ["failed", "closed"].includes(pc.connectionState) && resolve();
            pc.addEventListener("connectionstatechange", look);
            look();
        });
        await within(failed, 30_000, "failed");
        check(channel.raw.readyState !== "open", "the channel is open");
        pc.close();
    },
};
