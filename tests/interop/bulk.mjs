// The bulk cases of all roles: many bytes in messages of many sizes (message_mix.h), each of which
// the other side compares with its own.

import { MessageMix } from "./message_mix.mjs";
import { check } from "./support.mjs";

const MIB = 1_048_576;
/** Our answers' a=max-message-size. */
const WE_TAKE_BYTES = 262_144;
const BUFFERED_BYTES = MIB;

export function bulkBytes({ megabytes }) {
    return megabytes * MIB;
}

/** The largest message that this peer says it takes: werift no more than 65,536 bytes. */
export function maxMessageBytes(pc) {
    const says = Number(/a=max-message-size:(\d+)/.exec(pc.localDescription.sdp)[1]);
    return Math.min(says, WE_TAKE_BYTES);
}

export function sinkLabel(bytes) {
    return `sink:${bytes}:${WE_TAKE_BYTES}`;
}

/** What the server's channel "source:<bytes>" sends. */
export async function receiveMix(channel, pc, bytes) {
    const mix = new MessageMix(maxMessageBytes(pc));
    const began = performance.now();
    while (mix.takenBytes < bytes) mix.verify(await channel.next());
    return `${rate(mix.takenBytes, began)} received`;
}

/** To the server's channel sinkLabel(bytes). */
export async function sendMix(channel, bytes) {
    await channel.open;
    const mix = new MessageMix(WE_TAKE_BYTES);
    const began = performance.now();
    channel.raw.bufferedAmountLowThreshold = BUFFERED_BYTES / 2;
    for (; mix.takenBytes < bytes; mix.take()) {
        while (channel.raw.bufferedAmount > BUFFERED_BYTES) await lowOrSoon(channel.raw);
        channel.raw.send(mix.next());
    }
    const told = new TextDecoder().decode(await channel.next(120_000));
    check(told === "right", told);
    return `${rate(mix.takenBytes, began)} sent`;
}

/** Not every package tells when the threshold is reached. */
function lowOrSoon(raw) {
    return new Promise((resolve) => {
        const timer = setTimeout(resolve, 20);
        raw.onbufferedamountlow = () => {
            clearTimeout(timer);
            resolve();
        };
    });
}

function rate(bytes, began) {
    const megabytes = Math.round(bytes / 1e6);
    const each = bytes / 1e3 / (performance.now() - began);
    return `${megabytes} MB at ${each.toFixed(each < 10 ? 1 : 0)} MB/s`;
}
