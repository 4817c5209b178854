import type { Bytes } from "./bytes.ts";
import { ErrorCode, Flag, headerBytes, knownFlags } from "./constants.ts";

/**
 * One message of a data channel:
 *
 *     0      1       2           6
 *     +------+-------+-----------+----------
 *     | type | flags | request id| body ...
 *     +------+-------+-----------+----------
 */
export interface Message {
    type: number;
    flags: number;
    requestId: number;
    body: Bytes;
}

/** The bytes are not a message of this protocol; `code` is the error to answer with. */
export class MalformedMessage extends Error {
    override readonly name = "MalformedMessage";
    readonly code: number;

    constructor(reason: string, code: number = ErrorCode.badRequest) {
        super(reason);
        this.code = code;
    }
}

export type MessageHead = Omit<Message, "body">;

/**
 * The header and a body of several parts in one buffer: a data channel takes no list of parts, and
 * so the bytes of an upload are copied once.
 */
export function encodeMessage(head: MessageHead, ...bodyParts: Uint8Array[]): Bytes {
    const bodyBytes = bodyParts.reduce((sum, part) => sum + part.length, 0);
    return encodeMessageInto(new ArrayBuffer(headerBytes + bodyBytes), head, ...bodyParts);
}

/** The same at the front of `buffer`, to be used again. REQUIRES: there is room. */
export function encodeMessageInto(
    buffer: ArrayBuffer,
    head: MessageHead,
    ...bodyParts: Uint8Array[]
): Bytes {
    const bytes = new Uint8Array(buffer);
    bytes[0] = head.type;
    bytes[1] = head.flags;
    new DataView(buffer).setUint32(2, head.requestId);
    let offset = headerBytes;
    for (const part of bodyParts) {
        bytes.set(part, offset);
        offset += part.length;
    }
    return bytes.subarray(0, offset);
}

/** The body is a view of `bytes`. A type that is not known is no fault of the message's form. */
export function decodeMessage(bytes: Bytes): Message {
    if (bytes.length < headerBytes) {
        throw new MalformedMessage(`a message of ${bytes.length} bytes has no whole header`);
    }
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const flags = view.getUint8(1);
    if ((flags & ~knownFlags) !== 0) {
        throw new MalformedMessage(`unknown flags 0x${flags.toString(16)}`);
    }
    return {
        type: view.getUint8(0),
        flags,
        requestId: view.getUint32(2),
        body: bytes.subarray(headerBytes),
    };
}

export function hasFlag(message: Message, flag: (typeof Flag)[keyof typeof Flag]): boolean {
    return (message.flags & flag) !== 0;
}
