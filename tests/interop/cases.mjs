// What every offerer must be able to do with our endpoint. Written against the W3C API and nothing
// else, so that the same code runs in Node, with any WebRTC package, and inside a browser.
//
// A case gets {RTCPeerConnection, signal, megabytes}: `signal` reaches the echo server (offer,
// candidate, event, close, stats), `megabytes` is what this offerer is asked to carry each way.

import { bulkBytes, maxMessageBytes, receiveMix, sendMix, sinkLabel } from "./bulk.mjs";
import { Channel, check, equal, gathered, pattern, within } from "./support.mjs";

/** Connects with the channels that `labels` names: {label: options}. */
async function connect({ RTCPeerConnection, signal }, labels, change = (sdp) => sdp) {
    const pc = new RTCPeerConnection({ iceServers: [] });
    const channels = {};
    for (const [label, options] of Object.entries(labels)) {
        channels[label] = new Channel(pc.createDataChannel(label, options));
    }
    await pc.setLocalDescription(await pc.createOffer());
    await within(gathered(pc), 30_000, "gathering");
    const answered = await signal.offer(change(pc.localDescription.sdp));
    check(answered.answer, `refused: ${answered.error}`);
    await pc.setRemoteDescription({ type: "answer", sdp: answered.answer });
    return { pc, peer: answered.peer, channels, channel: channels[Object.keys(labels)[0]] };
}

export const cases = {
    async "echoes messages of 1 to 262,144 bytes, ordered and unordered"(env) {
        const { pc, channels } = await connect(env, { ordered: {}, unordered: { ordered: false } });
        const takes = maxMessageBytes(pc);
        for (const channel of Object.values(channels)) {
            await channel.open;
            for (const size of [1, 1_200, 65_536, 262_144]) {
                if (size > takes) continue;
                const sent = pattern(size, size);
                channel.raw.send(sent);
                check(equal(await channel.next(), sent), `${size} bytes came back changed`);
            }
        }
        pc.close();
    },

    async "opens several channels with what they are called"(env) {
        const { pc, peer, channels } = await connect(env, {
            kollator: { protocol: "kollator.v1" },
            "second channel": { ordered: false },
            third: {},
            fourth: {},
        });
        const seen = new Map();
        for (let i = 0; i < 4; ++i) {
            const event = await env.signal.event(peer, "channel");
            seen.set(event.label, event);
        }
        check(seen.get("kollator").protocol === "kollator.v1", "protocol");
        check(seen.get("kollator").ordered === true, "ordered");
        check(seen.get("second channel").ordered === false, "unordered");
        await Promise.all(Object.values(channels).map((channel) => channel.open));
        const all = Object.entries(channels);
        for (let turn = 0; turn < 10; ++turn) {
            all.forEach(([label, channel]) => channel.raw.send(pattern(999, label.length)));
        }
        for (const [label, channel] of all) {
            for (let turn = 0; turn < 10; ++turn) {
                check(equal(await channel.next(), pattern(999, label.length)), `echo on ${label}`);
            }
        }
        pc.close();
    },

    async "receives messages of many sizes, in order, with nothing missing"(env) {
        const label = `source:${bulkBytes(env)}`;
        const { pc, channel } = await connect(env, { [label]: {} });
        const note = await receiveMix(channel, pc, bulkBytes(env));
        pc.close();
        return note;
    },

    async "sends messages of many sizes with back-pressure"(env) {
        const { pc, channel } = await connect(env, { [sinkLabel(bulkBytes(env))]: {} });
        const note = await sendMix(channel, bulkBytes(env));
        pc.close();
        return note;
    },

    async "closes a channel while another lives on"(env) {
        const { pc, peer, channels } = await connect(env, { first: {}, second: {} });
        await Promise.all([channels.first.open, channels.second.open]);
        channels.first.raw.send(pattern(10, 1));
        await channels.first.next();
        channels.first.raw.close();
        const event = await env.signal.event(peer, "channel-closed");
        check(event.label === "first", `${event.label} closed`);
        channels.second.raw.send(pattern(10, 2));
        check(equal(await channels.second.next(), pattern(10, 2)), "second");
        // The stream is free again.
        const third = new Channel(pc.createDataChannel("third"));
        await third.open;
        third.raw.send(pattern(10, 3));
        check(equal(await third.next(), pattern(10, 3)), "third");
        pc.close();
    },

    async "sees the worker close a channel"(env) {
        const { pc, channels } = await connect(env, { close: {}, other: {} });
        await Promise.all([channels.close.open, channels.other.open]);
        channels.close.raw.send(pattern(1, 1));
        await within(channels.close.closed, 30_000, "closed");
        channels.other.raw.send(pattern(10, 2));
        check(equal(await channels.other.next(), pattern(10, 2)), "other");
        pc.close();
    },

    async "sees a refused channel close"(env) {
        const { pc, channels } = await connect(env, { refuse: {}, other: {} });
        await channels.other.open;
        await within(channels.refuse.closed, 30_000, "refused channel closed");
        pc.close();
    },

    async "trickles its candidates after the answer"(env) {
        const { RTCPeerConnection, signal } = env;
        const pc = new RTCPeerConnection({ iceServers: [] });
        const channel = new Channel(pc.createDataChannel("echo"));
        const candidates = [];
        pc.onicecandidate = ({ candidate }) => candidates.push(candidate?.candidate ?? "");
        await pc.setLocalDescription(await pc.createOffer());
        await within(gathered(pc), 30_000, "gathering");
        const bare = pc.localDescription.sdp
            .split(/\r?\n/)
            .filter((line) => !/^a=(candidate|end-of-candidates)/.test(line))
            .join("\r\n");
        const answered = await signal.offer(bare);
        check(answered.answer, `refused: ${answered.error}`);
        await pc.setRemoteDescription({ type: "answer", sdp: answered.answer });
        for (const candidate of candidates) signal.candidate(answered.peer, candidate);
        await channel.open;
        channel.raw.send(pattern(100, 1));
        check(equal(await channel.next(), pattern(100, 1)), "echo");
        pc.close();
    },

    async "restarts ICE while its channel lives on"(env) {
        const { pc, peer, channel } = await connect(env, { echo: {} });
        await channel.open;
        for (let turn = 0; turn < 2; ++turn) {
            await pc.setLocalDescription(await pc.createOffer({ iceRestart: true }));
            await within(gathered(pc), 30_000, "gathering");
            const answered = await env.signal.reoffer(peer, pc.localDescription.sdp);
            check(answered.answer, `refused: ${answered.error}`);
            await pc.setRemoteDescription({ type: "answer", sdp: answered.answer });
            const ufrag = (sdp) => /a=ice-ufrag:(\S+)/.exec(sdp)[1];
            // Consent with the old credentials would run out within 30 s.
            const used = () => pc.iceConnectionState === "connected" || pc.iceConnectionState === "completed";
            for (let i = 0; i < 100 && !used(); ++i) {
                await new Promise((resolve) => setTimeout(resolve, 100));
            }
            check(used(), `ICE is ${pc.iceConnectionState} with ${ufrag(answered.answer)}`);
            channel.raw.send(pattern(5_000, turn));
            check(equal(await channel.next(), pattern(5_000, turn)), `echo ${turn}`);
        }
        pc.close();
    },

    async "sends text that is known as text"(env) {
        const { pc, channel } = await connect(env, { echo: {} });
        await channel.open;
        channel.raw.send("grüße");
        check(equal(await channel.next(), new TextEncoder().encode("text:grüße")), "text");
        channel.raw.send(new TextEncoder().encode("grüße"));
        check(equal(await channel.next(), new TextEncoder().encode("grüße")), "binary");
        pc.close();
    },

    async "is refused with a certificate other than it announced"(env) {
        const wrong = (sdp) =>
            sdp.replace(/(a=fingerprint:sha-256 )([0-9A-Fa-f]{2})/g, (_, name, first) => {
                const byte = (parseInt(first, 16) ^ 0xff).toString(16).padStart(2, "0");
                return name + byte.toUpperCase();
            });
        const { pc, peer, channel } = await connect(env, { echo: {} }, wrong);
        const closed = await env.signal.event(peer, "closed");
        check(/dtls failed.*fingerprint/.test(closed.reason), `reason: ${closed.reason}`);
        check(channel.raw.readyState !== "open", "the channel is open");
        pc.close();
    },

    async "sees the worker end the connection"(env) {
        const { pc, peer, channel } = await connect(env, { echo: {} });
        await channel.open;
        env.signal.close(peer, "enough");
        const closed = await env.signal.event(peer, "closed");
        check(closed.reason === "enough", `reason: ${closed.reason}`);
        await within(channel.closed, 30_000, "channel closed");
        pc.close();
    },

    async "is missed soon after it said good-bye"(env) {
        const { pc, peer, channel } = await connect(env, { echo: {} });
        await channel.open;
        pc.close();
        await env.signal.event(peer, "closed", 15_000);
    },

    async "connects ten times at once"(env) {
        const began = performance.now();
        const all = await Promise.all(
            Array.from({ length: 10 }, () => connect(env, { echo: {} })),
        );
        await Promise.all(
            all.map(async ({ channel }, i) => {
                await channel.open;
                channel.raw.send(pattern(5_000, i));
                check(equal(await channel.next(), pattern(5_000, i)), `echo ${i}`);
            }),
        );
        all.forEach(({ pc }) => pc.close());
        return `${Math.round(performance.now() - began)} ms`;
    },
};

/** Opens one channel and stays, until whoever runs it is killed. Gives the peer's number. */
export async function connectAndStay(env) {
    const { peer, channel, pc } = await connect(env, { echo: {} });
    await channel.open;
    globalThis.kept = pc;
    return peer;
}
