import type { Bytes } from "../protocol/bytes.ts";
import { sha256 } from "./sha256.ts";

/** SHA-256, 32 bytes. */
export type Digest = (bytes: Bytes) => Promise<Bytes>;

/** WebCrypto where the page is a secure context (https or localhost), else plain TypeScript. */
export function platformDigest(): Digest {
    const subtle: SubtleCrypto | undefined = globalThis.crypto?.subtle;
    if (subtle === undefined) {
        return (bytes) => Promise.resolve(sha256(bytes));
    }
    return async (bytes) => new Uint8Array(await subtle.digest("SHA-256", bytes));
}
