import type { Bytes } from "./bytes.ts";
import { hashBytes } from "./constants.ts";
import { MalformedMessage } from "./message.ts";

/** Takes big-endian fields from the front of a body; throws MalformedMessage past its end. */
export class ByteReader {
    readonly #bytes: Bytes;
    readonly #view: DataView;
    #position = 0;

    constructor(bytes: Bytes) {
        this.#bytes = bytes;
        this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    }

    get left(): number {
        return this.#bytes.length - this.#position;
    }

    u8(): number {
        return this.#view.getUint8(this.#take(1));
    }

    u16(): number {
        return this.#view.getUint16(this.#take(2));
    }

    u32(): number {
        return this.#view.getUint32(this.#take(4));
    }

    /** A view, not a copy. */
    bytes(length: number): Bytes {
        const start = this.#take(length);
        return this.#bytes.subarray(start, start + length);
    }

    hash(): Bytes {
        return this.bytes(hashBytes);
    }

    rest(): Bytes {
        return this.bytes(this.left);
    }

    /** A u16 that counts what follows: refused before anything is read where it cannot fit. */
    count(smallestItemBytes: number): number {
        const count = this.u16();
        if (count * smallestItemBytes > this.left) {
            throw new MalformedMessage(`${count} items do not fit into ${this.left} bytes`);
        }
        return count;
    }

    /** Gives `value` back once every byte was taken. */
    whole<T>(value: T): T {
        if (this.left !== 0) {
            throw new MalformedMessage(`${this.left} bytes are left over`);
        }
        return value;
    }

    #take(length: number): number {
        if (length > this.left) {
            throw new MalformedMessage(`needs ${length} bytes where ${this.left} are left`);
        }
        const start = this.#position;
        this.#position += length;
        return start;
    }
}

export class ByteWriter {
    #bytes = new Uint8Array(64);
    #length = 0;

    u8(value: number): this {
        const at = this.#grow(1);
        this.#bytes[at] = value;
        return this;
    }

    u16(value: number): this {
        const at = this.#grow(2);
        new DataView(this.#bytes.buffer).setUint16(at, value);
        return this;
    }

    u32(value: number): this {
        const at = this.#grow(4);
        new DataView(this.#bytes.buffer).setUint32(at, value);
        return this;
    }

    bytes(value: Uint8Array): this {
        const at = this.#grow(value.length);
        this.#bytes.set(value, at);
        return this;
    }

    hash(value: Bytes): this {
        if (value.length !== hashBytes) {
            throw new RangeError(`a hash has ${hashBytes} bytes, not ${value.length}`);
        }
        return this.bytes(value);
    }

    finish(): Bytes {
        return this.#bytes.slice(0, this.#length);
    }

    #grow(more: number): number {
        const start = this.#length;
        this.#length += more;
        if (this.#length > this.#bytes.length) {
            const larger = new Uint8Array(Math.max(this.#length, 2 * this.#bytes.length));
            larger.set(this.#bytes);
            this.#bytes = larger;
        }
        return start;
    }
}
