import type { Fragment } from "../protocol/bodies.ts";
import type { Bytes } from "../protocol/bytes.ts";
import { MalformedMessage } from "../protocol/message.ts";

/**
 * Puts a blob together from fragments in any order. Space is taken when the first fragment tells
 * the size, and never over `maxBytes`. What is filled twice would leave a gap elsewhere: the hash,
 * which the caller checks, would not match.
 */
export class BlobAssembly {
    readonly #maxBytes: number;
    #bytes: Bytes | undefined;
    #received = 0;

    constructor(maxBytes: number) {
        this.#maxBytes = maxBytes;
    }

    get receivedBytes(): number {
        return this.#received;
    }

    /** The blob once it is whole. */
    add(fragment: Fragment): Bytes | undefined {
        if (fragment.total === 0 || fragment.total > this.#maxBytes) {
            throw new MalformedMessage(`a blob of ${fragment.total} bytes was not asked for`);
        }
        this.#bytes ??= new Uint8Array(fragment.total);
        if (fragment.total !== this.#bytes.length) {
            throw new MalformedMessage("fragments tell of different sizes");
        }
        this.#bytes.set(fragment.data, fragment.offset);
        this.#received += fragment.data.length;
        return this.#received >= this.#bytes.length ? this.#bytes : undefined;
    }
}
