// What every answerer must be able to do with our endpoint, which offers. As cases.mjs: the W3C API
// and nothing else.

import { bulkBytes, receiveMix, sendMix, sinkLabel } from "./bulk.mjs";
import { Channel, check, equal, gathered, pattern, within } from "./support.mjs";

/** Answers an offer of the server's, which opens a channel for each of `labels`. */
async function answer({ RTCPeerConnection, signal }, labels, change = (sdp) => sdp) {
    const { peer, offer } = await signal.makeOffer(labels);
    const pc = new RTCPeerConnection({ iceServers: [] });
    const arrived = {};
    const opened = Object.fromEntries(
        labels.map((label) => [label, new Promise((resolve) => (arrived[label] = resolve))]),
    );
    pc.ondatachannel = ({ channel }) => arrived[channel.label](new Channel(channel));
    await pc.setRemoteDescription({ type: "offer", sdp: change(offer) });
    await pc.setLocalDescription(await pc.createAnswer());
    await within(gathered(pc), 30_000, "gathering");
    const { error } = await signal.acceptAnswer(peer, pc.localDescription.sdp);
    check(!error, `refused: ${error}`);
    const channels = await within(
        Promise.all(labels.map((label) => opened[label])),
        30_000,
        "the server's channels",
    );
    // Chromium calls a channel that it was offered open before its own end is, and drops what is
    // sent meanwhile: its first message then has the second one's place (once in 600 connections).
    // The server tells of a channel once the browser's DATA_CHANNEL_ACK has come.
    for (const _ of labels) await signal.event(peer, "channel");
    return { pc, peer, channels };
}

export const answererCases = {
    async "answers, and echoes on the server's channels"(env) {
        const { pc, channels } = await answer(env, ["first", "unordered second"]);
        for (const channel of channels) {
            for (const size of [1, 1_200, 65_536]) {
                channel.raw.send(pattern(size, size));
                check(equal(await channel.next(), pattern(size, size)), `${size} bytes changed`);
            }
        }
        pc.close();
    },

    async "begins the handshake or waits for it, as the offer says"(env) {
        for (const setup of ["active", "passive"]) {
            const says = (sdp) => sdp.replace("a=setup:actpass", `a=setup:${setup}`);
            const { pc, channels } = await answer(env, ["echo"], says);
            channels[0].raw.send(pattern(100, 1));
            check(equal(await channels[0].next(), pattern(100, 1)), setup);
            pc.close();
        }
    },

    async "receives messages of many sizes from the offerer"(env) {
        const { pc, channels } = await answer(env, [`source:${bulkBytes(env)}`]);
        const note = await receiveMix(channels[0], pc, bulkBytes(env));
        pc.close();
        return note;
    },

    async "sends messages of many sizes to the offerer"(env) {
        const { pc, channels } = await answer(env, [sinkLabel(bulkBytes(env))]);
        const note = await sendMix(channels[0], bulkBytes(env));
        pc.close();
        return note;
    },

    async "opens a channel of its own"(env) {
        const { pc, peer } = await answer(env, ["theirs"]);
        const own = new Channel(pc.createDataChannel("ours", { protocol: "p" }));
        await own.open;
        const names = [];
        while (!names.includes("ours")) names.push((await env.signal.event(peer, "channel")).label);
        own.raw.send(pattern(1_000, 3));
        check(equal(await own.next(), pattern(1_000, 3)), "echo");
        pc.close();
    },

    async "sees the offerer end the connection"(env) {
        const { pc, peer, channels } = await answer(env, ["echo"]);
        env.signal.close(peer, "enough");
        await within(channels[0].closed, 30_000, "closed");
        pc.close();
    },
};
