// The messages of the bulk cases, as message_mix.h says.

const STARTS = 65_536;

export class MessageMix {
    takenBytes = 0;
    #index = 0;
    #maxBytes;
    #table;

    constructor(maxBytes) {
        this.#maxBytes = maxBytes;
        this.#table = new Uint8Array(STARTS + maxBytes);
        for (let k = 0, x = 1; k < this.#table.length; ++k) {
            x = (Math.imul(x, 1_664_525) + 1_013_904_223) >>> 0;
            this.#table[k] = x >>> 24;
        }
    }

    #sizeBytes() {
        const hash = Math.imul(this.#index, 2_654_435_761) >>> 8;
        const upTo = (bytes) => 1 + (hash % Math.min(bytes, this.#maxBytes));
        const max = this.#maxBytes;
        const turns = [1, max, upTo(1_500), upTo(16_384), upTo(max), max, upTo(1_500), upTo(16_384)];
        return turns[this.#index % 8];
    }

    /** The message that is next, until take(). */
    next() {
        const start = this.#index % STARTS;
        return this.#table.subarray(start, start + this.#sizeBytes());
    }

    take() {
        this.takenBytes += this.#sizeBytes();
        ++this.#index;
    }

    /** Throws where `message` is not the next one, and takes it. */
    verify(message) {
        const right = this.next();
        if (message.length !== right.length) {
            throw new Error(`message ${this.#index} has ${message.length} bytes, not ${right.length}`);
        }
        for (let k = 0; k < right.length; ++k) {
            if (message[k] === right[k]) continue;
            throw new Error(`message ${this.#index} differs at byte ${k}`);
        }
        this.take();
    }
}
