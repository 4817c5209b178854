import { KollatorError } from "./errors.ts";
import type { Bytes } from "./protocol/bytes.ts";

/** More are not in use at a time by one reader's owner, but for moments. */
const mostKept = 2;

/**
 * Reads parts of a file into memory that is used again. A buffer for each part would be left to the
 * garbage collector, which lets 64 MB of them gather in each thread before it looks.
 */
export class SliceReader {
    readonly #free: ArrayBuffer[] = [];

    /** `length` bytes from `offset`; kind "source" where they are not to be had. */
    async read(file: Blob, offset: number, length: number): Promise<Bytes> {
        const slice = file.slice(offset, offset + length);
        let bytes: Bytes;
        try {
            const reader = byteReader(slice);
            bytes =
                reader === undefined
                    ? new Uint8Array(await slice.arrayBuffer())
                    : await fill(reader, this.#take(length), length);
        } catch (error) {
            throw new KollatorError("source", "the file cannot be read", { cause: error });
        }
        if (bytes.length !== length) {
            throw new KollatorError("source", "the file is shorter than it was");
        }
        return bytes;
    }

    /** `bytes` came from read(), and are looked at no more. */
    giveBack(bytes: Bytes): void {
        if (this.#free.length < mostKept) {
            this.#free.push(bytes.buffer);
        }
    }

    #take(length: number): ArrayBuffer {
        const buffer = this.#free.pop();
        return buffer !== undefined && buffer.byteLength >= length
            ? buffer
            : new ArrayBuffer(length);
    }
}

/** Undefined where the platform cannot read a Blob into memory of ours. */
function byteReader(slice: Blob): ReadableStreamBYOBReader | undefined {
    try {
        return slice.stream().getReader({ mode: "byob" });
    } catch {
        return undefined;
    }
}

/** The stream takes the buffer at each read and gives it back with the bytes in it. */
async function fill(
    reader: ReadableStreamBYOBReader,
    buffer: ArrayBuffer,
    length: number,
): Promise<Bytes> {
    let filled = 0;
    while (filled < length) {
        const { done, value } = await reader.read(new Uint8Array(buffer, filled, length - filled));
        if (value === undefined) {
            throw new Error("the stream was cancelled");
        }
        buffer = value.buffer;
        if (done) {
            break;
        }
        filled += value.length;
    }
    return new Uint8Array(buffer, 0, filled);
}
