import assert from "node:assert/strict";
import { test } from "node:test";

import { isKind } from "../errors.ts";
import { DataChannelWire } from "./wire.ts";

/** A channel that sends nothing until it is told to. */
class StuckChannel {
    binaryType = "blob";
    bufferedAmount = 0;
    bufferedAmountLowThreshold = 0;
    onbufferedamountlow: (() => void) | null = null;
    onmessage: ((event: { data: unknown }) => void) | null = null;
    onclose: (() => void) | null = null;
    onerror: (() => void) | null = null;
    closed = false;
    largestBufferedBytes = 0;

    send(data: Uint8Array): void {
        this.bufferedAmount += data.length;
        this.largestBufferedBytes = Math.max(this.largestBufferedBytes, this.bufferedAmount);
    }

    drain(bytes: number): void {
        const before = this.bufferedAmount;
        this.bufferedAmount = Math.max(0, before - bytes);
        const threshold = this.bufferedAmountLowThreshold;
        if (before > threshold && this.bufferedAmount <= threshold) {
            this.onbufferedamountlow?.();
        }
    }

    close(): void {
        this.closed = true;
    }
}

function wireOver(channel: StuckChannel): DataChannelWire {
    return new DataChannelWire(channel as unknown as RTCDataChannel, 65536, () => {});
}

const messageBytes = 64 * 1024;
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test("many senders at once never fill the channel past its high water mark", async () => {
    const channel = new StuckChannel();
    const wire = wireOver(channel);
    let sent = 0;
    const senders = Array.from({ length: 200 }, () =>
        wire.send(new Uint8Array(messageBytes)).then(() => sent++),
    );
    while (sent < senders.length) {
        await turn();
        channel.drain(messageBytes);
    }
    assert.ok(channel.largestBufferedBytes <= 1024 * 1024, String(channel.largestBufferedBytes));
});

test("a sender that gives up passes its turn on", async () => {
    const channel = new StuckChannel();
    const wire = wireOver(channel);
    await wire.send(new Uint8Array(2 * 1024 * 1024));
    const controller = new AbortController();
    const first = wire.send(new Uint8Array(1), controller.signal);
    const second = wire.send(new Uint8Array(2));
    controller.abort();
    await assert.rejects(first, { name: "AbortError" });
    channel.drain(2 * 1024 * 1024);
    await second;
    assert.equal(channel.bufferedAmount, 2);
});

test("whoever waits for room learns that the channel is gone, and so does the session", async () => {
    const channel = new StuckChannel();
    const wire = wireOver(channel);
    let reason = "";
    wire.onclose = (text) => (reason = text);
    await wire.send(new Uint8Array(2 * 1024 * 1024));
    const waiting = wire.send(new Uint8Array(1));
    channel.onclose?.();
    await assert.rejects(waiting, (error) => isKind(error, "connection-lost"));
    await assert.rejects(wire.send(new Uint8Array(1)), (error) => isKind(error, "connection-lost"));
    assert.equal(reason, "the worker closed the channel");
    assert.ok(channel.closed);
});

test("a channel that refuses a message is given up, so that nobody waits for it", async () => {
    const channel = new StuckChannel();
    channel.send = () => {
        throw new DOMException("full", "OperationError");
    };
    const wire = wireOver(channel);
    let reason = "";
    wire.onclose = (text) => (reason = text);
    await assert.rejects(wire.send(new Uint8Array(1)), (error) => isKind(error, "connection-lost"));
    assert.equal(reason, "the channel takes no more");
    assert.ok(channel.closed);
});

test("text messages are told from binary ones", () => {
    const channel = new StuckChannel();
    const wire = wireOver(channel);
    const seen: (number | undefined)[] = [];
    wire.onmessage = (message) => seen.push(message?.length);
    channel.onmessage?.({ data: new ArrayBuffer(3) });
    channel.onmessage?.({ data: "text" });
    channel.onmessage?.({ data: Buffer.from(new ArrayBuffer(5)) });
    assert.deepEqual(seen, [3, undefined, 5]);
});
