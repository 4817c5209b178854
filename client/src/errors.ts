import { ErrorCode } from "./protocol/constants.ts";

/** Named by what the caller can do next; the first group is the contract's (protocol.md 2.4). */
export type ErrorKind =
    | "bad-request"
    | "not-found"
    | "too-large"
    | "hash-mismatch"
    | "busy"
    | "unavailable"
    | "unauthorized"
    | "unsupported"
    | "cancelled"
    | "internal"
    | "quota"
    /** The worker's operator denies this content: NOT_FOUND, told apart by its words (protocol.md 6). */
    | "refused"
    /** The bytes that came do not match their name. */
    | "corrupt"
    /** The worker sent what the protocol does not know. */
    | "protocol"
    /** Nothing was heard in time. */
    | "timeout"
    /** The data channel is gone. */
    | "connection-lost"
    /** The front knows no worker that takes us. */
    | "no-worker"
    /** The front does not answer. */
    | "front-unreachable"
    /** The file to be sent cannot be read, or is another than it was. */
    | "source";

export class KollatorError extends Error {
    override readonly name = "KollatorError";
    readonly kind: ErrorKind;
    /** What the worker advises; 0 where it gives no advice. */
    readonly retryAfterMs: number;

    constructor(kind: ErrorKind, message: string, options?: ErrorOptions & { retryAfterMs?: number }) {
        super(message, options);
        this.kind = kind;
        this.retryAfterMs = options?.retryAfterMs ?? 0;
    }
}

const kindOfCode = new Map<number, ErrorKind>([
    [ErrorCode.badRequest, "bad-request"],
    [ErrorCode.notFound, "not-found"],
    [ErrorCode.tooLarge, "too-large"],
    [ErrorCode.hashMismatch, "hash-mismatch"],
    [ErrorCode.busy, "busy"],
    [ErrorCode.unavailable, "unavailable"],
    [ErrorCode.unauthorized, "unauthorized"],
    [ErrorCode.unsupported, "unsupported"],
    [ErrorCode.cancelled, "cancelled"],
    [ErrorCode.internal, "internal"],
    [ErrorCode.quota, "quota"],
]);

const refusal = /^refused:/;

export function kindOfWireError(code: number, message: string): ErrorKind {
    if (code === ErrorCode.notFound && refusal.test(message)) {
        return "refused";
    }
    return kindOfCode.get(code) ?? "internal";
}

export function isKind(error: unknown, ...kinds: ErrorKind[]): error is KollatorError {
    return error instanceof KollatorError && kinds.includes(error.kind);
}
