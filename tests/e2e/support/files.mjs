// Large files of seeded random bytes, written and hashed in pieces.

import { createCipheriv, createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { mkdtemp, open } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";

const PIECE_BYTES = 4 * 1024 * 1024;

/** A folder for a test's files; the test removes it. */
export function scratchFolder() {
    return mkdtemp(join(tmpdir(), "kollator-e2e-files-"));
}

/** The same bytes for the same seed: AES-CTR's key stream. */
export async function writeRandomFile(path, sizeBytes, seed) {
    const key = createHash("sha256").update(seed).digest();
    const stream = createCipheriv("aes-256-ctr", key, Buffer.alloc(16));
    const zeros = Buffer.alloc(PIECE_BYTES);
    const file = await open(path, "w");
    try {
        for (let left = sizeBytes; left > 0; left -= PIECE_BYTES) {
            await file.write(stream.update(zeros.subarray(0, Math.min(left, PIECE_BYTES))));
        }
    } finally {
        await file.close();
    }
    return path;
}

export async function sha256Of(path) {
    const hash = createHash("sha256");
    await pipeline(createReadStream(path, { highWaterMark: PIECE_BYTES }), hash);
    return hash.digest("hex");
}
