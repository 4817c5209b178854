/** Two wires that are each other's other end: messages arrive a turn later, whole and in order. */
import type { Wire } from "../src/connection/wire.ts";
import { KollatorError } from "../src/errors.ts";
import type { Bytes } from "../src/protocol/bytes.ts";
import { deferred } from "../src/wait.ts";

export function memoryWires(maxMessageBytes = 64 * 1024): [Wire, Wire] {
    const left = new MemoryWire(maxMessageBytes);
    const right = new MemoryWire(maxMessageBytes);
    left.other = right;
    right.other = left;
    return [left, right];
}

class MemoryWire implements Wire {
    readonly maxMessageBytes: number;
    readonly queuedBytes = 0;
    onmessage: (message: Bytes | undefined) => void = () => {};
    onclose: (reason: string) => void = () => {};
    other!: MemoryWire;
    #open = true;

    constructor(maxMessageBytes: number) {
        this.maxMessageBytes = maxMessageBytes;
    }

    send(message: Bytes, signal?: AbortSignal): Promise<void> {
        if (!this.#open) {
            return Promise.reject(new KollatorError("connection-lost", "closed"));
        }
        if (message.length > this.maxMessageBytes) {
            return Promise.reject(new RangeError("over the limit of a message"));
        }
        const { promise, resolve, reject } = deferred<void>();
        setImmediate(() => {
            if (signal?.aborted) {
                reject(signal.reason);
                return;
            }
            // As a real channel, it has its own bytes: the sender may use its buffer again.
            this.other.#receive(message.slice());
            resolve();
        });
        return promise;
    }

    close(reason = "closed"): void {
        for (const end of [this, this.other]) {
            if (end.#open) {
                end.#open = false;
                setImmediate(() => end.onclose(reason));
            }
        }
    }

    #receive(message: Bytes): void {
        if (this.#open) {
            this.onmessage(message);
        }
    }
}
