/** Bencoding (BEP 3), strict: one form for each value, keys sorted by their bytes, no key twice. */
import { type Bytes, concatBytes, encodeText, toHex } from "../protocol/bytes.ts";

export type Bencoded = number | Bytes | Bencoded[] | BencodedDictionary;

/** Keys are byte strings: held as one character for each byte ("latin1"). */
export type BencodedDictionary = Map<string, Bencoded>;

export class MalformedBencoding extends Error {
    override readonly name = "MalformedBencoding";
}

/** What a stranger sends may nest no deeper: the decoder recurses. */
const maxDepth = 32;

/** A key of a dictionary as text, to the form in which the map holds it. */
export function keyOf(text: string): string {
    return keyOfBytes(encodeText(text));
}

export function keyOfBytes(bytes: Uint8Array): string {
    let key = "";
    for (const byte of bytes) {
        key += String.fromCharCode(byte);
    }
    return key;
}

export function bytesOfKey(key: string): Bytes {
    return Uint8Array.from(key, (character) => character.charCodeAt(0));
}

export function encodeBencode(value: Bencoded): Bytes {
    const parts: Uint8Array[] = [];
    append(parts, value);
    return concatBytes(parts);
}

function append(parts: Uint8Array[], value: Bencoded): void {
    if (typeof value === "number") {
        if (!Number.isSafeInteger(value)) {
            throw new RangeError(`${value} is no integer that bencoding can hold here`);
        }
        parts.push(encodeText(`i${value}e`));
    } else if (value instanceof Uint8Array) {
        parts.push(encodeText(`${value.length}:`), value);
    } else if (Array.isArray(value)) {
        parts.push(encodeText("l"));
        value.forEach((item) => append(parts, item));
        parts.push(encodeText("e"));
    } else {
        parts.push(encodeText("d"));
        // One character is one byte, so the order of UTF-16 units is that of the bytes.
        for (const key of [...value.keys()].sort((a, b) => (a < b ? -1 : 1))) {
            append(parts, bytesOfKey(key));
            append(parts, value.get(key)!);
        }
        parts.push(encodeText("e"));
    }
}

export interface DecodedBencode {
    value: Bencoded;
    /** For a dictionary: the bytes of each value of its first level, as they stood. */
    rawValues: Map<string, Bytes>;
}

export function decodeBencode(bytes: Bytes): DecodedBencode {
    const decoder = new Decoder(bytes);
    const value = decoder.value(0);
    decoder.expectEnd();
    return { value, rawValues: decoder.rawValues };
}

const asciiZero = 0x30;
const asciiNine = 0x39;

class Decoder {
    readonly rawValues = new Map<string, Bytes>();
    readonly #bytes: Bytes;
    #position = 0;

    constructor(bytes: Bytes) {
        this.#bytes = bytes;
    }

    value(depth: number): Bencoded {
        if (depth > maxDepth) {
            throw new MalformedBencoding(`nested deeper than ${maxDepth}`);
        }
        switch (this.#peek()) {
            case "i":
                this.#position++;
                return this.#integer("e");
            case "l":
                this.#position++;
                return this.#list(depth);
            case "d":
                this.#position++;
                return this.#dictionary(depth);
            default:
                return this.#string();
        }
    }

    expectEnd(): void {
        if (this.#position !== this.#bytes.length) {
            throw new MalformedBencoding("bytes are left over");
        }
    }

    #peek(): string {
        const byte = this.#bytes[this.#position];
        if (byte === undefined) {
            throw new MalformedBencoding("it ends too early");
        }
        return String.fromCharCode(byte);
    }

    #list(depth: number): Bencoded[] {
        const items: Bencoded[] = [];
        while (this.#peek() !== "e") {
            items.push(this.value(depth + 1));
        }
        this.#position++;
        return items;
    }

    #dictionary(depth: number): BencodedDictionary {
        const entries: BencodedDictionary = new Map();
        let previous: string | undefined;
        while (this.#peek() !== "e") {
            const key = keyOfBytes(this.#string());
            if (previous !== undefined && key <= previous) {
                throw new MalformedBencoding(`key ${toHex(bytesOfKey(key))} is out of order`);
            }
            previous = key;
            const start = this.#position;
            entries.set(key, this.value(depth + 1));
            if (depth === 0) {
                this.rawValues.set(key, this.#bytes.subarray(start, this.#position));
            }
        }
        this.#position++;
        return entries;
    }

    #string(): Bytes {
        const length = this.#integer(":");
        if (length < 0 || length > this.#bytes.length - this.#position) {
            throw new MalformedBencoding("a string reaches past the end");
        }
        const start = this.#position;
        this.#position += length;
        return this.#bytes.subarray(start, this.#position);
    }

    /** Digits up to `end`; no leading zeros, no minus zero, nothing a double cannot hold. */
    #integer(end: "e" | ":"): number {
        let text = "";
        if (end === "e" && this.#peek() === "-") {
            text = "-";
            this.#position++;
        }
        for (let byte = this.#bytes[this.#position]; isDigit(byte); ) {
            text += String.fromCharCode(byte);
            byte = this.#bytes[++this.#position];
        }
        const value = Number(text);
        if (!/^(0|-?[1-9][0-9]*)$/.test(text) || !Number.isSafeInteger(value)) {
            throw new MalformedBencoding("not an integer in its one form");
        }
        if (this.#peek() !== end) {
            throw new MalformedBencoding(`an integer does not end with "${end}"`);
        }
        this.#position++;
        return value;
    }
}

function isDigit(byte: number | undefined): byte is number {
    return byte !== undefined && byte >= asciiZero && byte <= asciiNine;
}
