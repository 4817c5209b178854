/** One data channel as a session sees it: whole messages, with back-pressure. */
import { KollatorError } from "../errors.ts";
import type { Bytes } from "../protocol/bytes.ts";
import { abortable, type Deferred, deferred } from "../wait.ts";

export interface Wire {
    /** The largest message that the peer takes. */
    readonly maxMessageBytes: number;
    /** What was sent and has not left yet. */
    readonly queuedBytes: number;
    /**
     * What the transport has received, parts of messages and acknowledgements too; left out where
     * that cannot be known.
     */
    readonly receivedBytes?: (() => Promise<number>) | undefined;
    /** Set by the session; text messages come as undefined. */
    onmessage: (message: Bytes | undefined) => void;
    /** Called once, after which nothing more is called. */
    onclose: (reason: string) => void;
    /** Resolves when the message was queued, as a copy; waits while too much is. */
    send(message: Bytes, signal?: AbortSignal): Promise<void>;
    close(reason?: string): void;
}

/**
 * Enough to keep a fast path busy between two events of the page, and little enough that a request
 * sent behind an upload waits for no more than this. Browsers refuse to hold more than 16 MiB.
 */
const highWaterBytes = 1024 * 1024;
const lowWaterBytes = 256 * 1024;

export class DataChannelWire implements Wire {
    readonly maxMessageBytes: number;
    onmessage: (message: Bytes | undefined) => void = () => {};
    onclose: (reason: string) => void = () => {};

    readonly #channel: RTCDataChannel;
    /** Senders that wait for room, in order. Each is woken alone, so that none overshoots. */
    readonly #waiting: Deferred<void>[] = [];
    #closed = false;

    readonly #release: () => void;
    readonly receivedBytes: (() => Promise<number>) | undefined;

    /** `release` is called once, after the end. REQUIRES: the channel is open. */
    constructor(
        channel: RTCDataChannel,
        maxMessageBytes: number,
        release: () => void,
        receivedBytes?: () => Promise<number>,
    ) {
        this.receivedBytes = receivedBytes;
        this.#channel = channel;
        this.#release = release;
        this.maxMessageBytes = maxMessageBytes;
        channel.binaryType = "arraybuffer";
        channel.bufferedAmountLowThreshold = lowWaterBytes;
        channel.onbufferedamountlow = () => this.#wake();
        channel.onmessage = (event: MessageEvent<unknown>) => {
            this.onmessage(asBytes(event.data));
        };
        channel.onclose = () => this.#close("the worker closed the channel");
        channel.onerror = () => this.#close("the channel broke");
    }

    get queuedBytes(): number {
        return this.#channel.bufferedAmount;
    }

    async send(message: Bytes, signal?: AbortSignal): Promise<void> {
        signal?.throwIfAborted();
        if (!this.#closed && (this.#waiting.length > 0 || this.#full())) {
            const room = deferred<void>();
            this.#waiting.push(room);
            try {
                await abortable(room.promise, signal);
            } catch (error) {
                this.#leave(room);
                throw error;
            }
        }
        if (this.#closed) {
            throw new KollatorError("connection-lost", "the channel is closed");
        }
        try {
            this.#channel.send(message);
        } catch (error) {
            const reason = "the channel takes no more";
            this.#close(reason);
            throw new KollatorError("connection-lost", reason, { cause: error });
        }
        this.#wake();
    }

    close(reason = "closed by this side"): void {
        this.#close(reason);
    }

    #full(): boolean {
        return this.#channel.bufferedAmount >= highWaterBytes;
    }

    #wake(): void {
        if (!this.#full()) {
            this.#waiting.shift()?.resolve();
        }
    }

    /** A sender that gave up; where it had been woken already, the next takes its place. */
    #leave(room: Deferred<void>): void {
        const at = this.#waiting.indexOf(room);
        if (at >= 0) {
            this.#waiting.splice(at, 1);
        } else {
            this.#wake();
        }
    }

    #close(reason: string): void {
        if (this.#closed) {
            return;
        }
        this.#closed = true;
        for (const room of this.#waiting.splice(0)) {
            room.reject(new KollatorError("connection-lost", reason));
        }
        this.#channel.close();
        this.#release();
        this.onclose(reason);
    }
}

function asBytes(data: unknown): Bytes | undefined {
    if (data instanceof ArrayBuffer) {
        return new Uint8Array(data);
    }
    // Outside of browsers some implementations give views, whatever binaryType says.
    return ArrayBuffer.isView(data) && data.buffer instanceof ArrayBuffer
        ? new Uint8Array(data.buffer, data.byteOffset, data.byteLength)
        : undefined;
}
