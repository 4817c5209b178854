/**
 * Bodies with COMPRESSED set (docs/protocol.md 2.1): raw DEFLATE, by the browser's own
 * `deflate-raw` streams.
 */
import { type Bytes, concatBytes } from "../protocol/bytes.ts";
import { MalformedMessage } from "../protocol/message.ts";

/** What stands in HELLO's `accept`. */
export const deflateRaw = "deflate-raw";

const minBytes = 1024;
const sampleBytes = 4096;
/** Messages of a blob that are left alone after one that did not shrink. */
const passesAfterFailure = 15;
/** At least a tenth less. */
const worthRatio = 0.9;

export function canInflate(): boolean {
    return canMake(() => new DecompressionStream(deflateRaw));
}

export function canDeflate(): boolean {
    return canMake(() => new CompressionStream(deflateRaw));
}

/** Older browsers lack the streams, or know no "deflate-raw". */
function canMake(make: () => unknown): boolean {
    try {
        make();
        return true;
    } catch {
        return false;
    }
}

/** Throws MalformedMessage where it is no DEFLATE stream, or would be over `maxBytes`. */
export async function inflate(bytes: Bytes, maxBytes: number): Promise<Bytes> {
    try {
        return await through(new DecompressionStream(deflateRaw), bytes, maxBytes);
    } catch (error) {
        if (error instanceof MalformedMessage) {
            throw error;
        }
        throw new MalformedMessage("a compressed body that is no DEFLATE stream");
    }
}

/** Compresses the messages of one blob, as long as that pays. */
export class Packer {
    #passes = 0;

    /** The parts joined and compressed; undefined where that would save less than a tenth. */
    async pack(parts: readonly Bytes[]): Promise<Bytes | undefined> {
        const data = parts.at(-1);
        if (data === undefined || data.length < minBytes) {
            return undefined;
        }
        if (this.#passes > 0) {
            this.#passes--;
            return undefined;
        }
        const middle = data.length >> 1;
        const sample = data.subarray(middle, middle + sampleBytes);
        const pays = data.length <= 2 * sampleBytes || (await shrink(sample)) !== undefined;
        const packed = pays ? await shrink(concatBytes(parts)) : undefined;
        if (packed === undefined) {
            this.#passes = passesAfterFailure;
        }
        return packed;
    }
}

async function shrink(bytes: Bytes): Promise<Bytes | undefined> {
    try {
        const limit = Math.floor(bytes.length * worthRatio);
        return await through(new CompressionStream(deflateRaw), bytes, limit);
    } catch {
        return undefined;
    }
}

/** Stops as soon as there is more than `maxBytes`: nobody inflates a bomb here. */
async function through(
    stream: CompressionStream | DecompressionStream,
    bytes: Bytes,
    maxBytes: number,
): Promise<Bytes> {
    const writer = stream.writable.getWriter();
    // Their failure is the reader's too.
    writer.write(bytes).catch(() => {});
    writer.close().catch(() => {});
    const reader = stream.readable.getReader();
    const parts: Bytes[] = [];
    let size = 0;
    for (;;) {
        const { done, value } = await reader.read();
        if (done) {
            return concatBytes(parts);
        }
        size += value.length;
        if (size > maxBytes) {
            reader.cancel().catch(() => {});
            throw new MalformedMessage(`a compressed body of more than ${maxBytes} bytes`);
        }
        parts.push(value as Bytes);
    }
}
