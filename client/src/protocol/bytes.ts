/** Bytes that own or view an ordinary ArrayBuffer, as WebCrypto and data channels ask for. */
export type Bytes = Uint8Array<ArrayBuffer>;

const hexDigits = Array.from({ length: 256 }, (_, value) => value.toString(16).padStart(2, "0"));

export function toHex(bytes: Uint8Array): string {
    let text = "";
    for (const byte of bytes) {
        text += hexDigits[byte];
    }
    return text;
}

/** Undefined where the text is not an even number of hex digits. */
export function fromHex(text: string): Bytes | undefined {
    if (text.length % 2 !== 0 || !/^[0-9a-fA-F]*$/.test(text)) {
        return undefined;
    }
    const bytes = new Uint8Array(text.length / 2);
    for (let i = 0; i < bytes.length; i++) {
        bytes[i] = Number.parseInt(text.slice(2 * i, 2 * i + 2), 16);
    }
    return bytes;
}

export function concatBytes(parts: readonly Uint8Array[]): Bytes {
    const joined = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
    let offset = 0;
    for (const part of parts) {
        joined.set(part, offset);
        offset += part.length;
    }
    return joined;
}

export function equalBytes(a: Uint8Array, b: Uint8Array): boolean {
    return a.length === b.length && a.every((byte, i) => byte === b[i]);
}

const encoder = new TextEncoder();
const lenientDecoder = new TextDecoder("utf-8");

export function encodeText(text: string): Bytes {
    return encoder.encode(text);
}

/** Bytes that are not UTF-8 become U+FFFD: for names and messages that people read. */
export function decodeText(bytes: Uint8Array): string {
    return lenientDecoder.decode(bytes);
}
