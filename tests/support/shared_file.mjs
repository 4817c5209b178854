// A shared file as the SDK makes it, but smaller: chunks, and metadata that names them.

import assert from "node:assert/strict";
import { createHash, createHmac } from "node:crypto";
import { Flag } from "../../bench/load/wire.mjs";
import { Type, requestBody, sha256, storeBody } from "./worker.mjs";

const text = (value) => Buffer.concat([Buffer.from(`${Buffer.byteLength(value)}:`), Buffer.from(value)]);
const number = (value) => Buffer.from(`i${value}e`);
const dictionary = (...parts) => Buffer.concat([Buffer.from("d"), ...parts, Buffer.from("e")]);

/** Repeatable bytes: a block that `seed` names, over and over, with its place in between. */
export function seededChunk(seed, size) {
    const block = createHmac("sha512", "kollator-tests").update(String(seed)).digest();
    const chunk = Buffer.alloc(size);
    for (let at = 0; at < size; at += block.length) {
        block.copy(chunk, at);
        if (at + 4 <= size) chunk.writeUInt32LE(at, at);
    }
    return chunk;
}

/** The metainfo of one file with these chunks, and its info-hash. */
export function metainfoOf(hashes, chunkBytes) {
    const tree = dictionary(
        text("file.bin"),
        dictionary(
            text(""),
            dictionary(text("length"), number(hashes.length * chunkBytes),
                text("pieces root"), text(Buffer.alloc(32, "r"))),
        ),
    );
    const info = dictionary(
        text("file tree"), tree,
        text("kollator-chunk-hashes"), text(Buffer.concat(hashes)),
        text("kollator-chunk-size"), number(chunkBytes),
        text("meta version"), number(2),
        text("name"), text("file.bin"),
        text("piece length"), number(16384),
    );
    const bytes = dictionary(text("info"), info, text("piece layers"), dictionary());
    return { bytes, infoHash: createHash("sha256").update(info).digest() };
}

/** Stores a file of `count` chunks; gives their hashes and the info-hash. */
export async function storeFile(connection, { seed, count, chunkBytes }) {
    const hashes = [];
    for (let n = 0; n < count; n++) {
        hashes.push(await connection.store(seededChunk(`${seed}/${n}`, chunkBytes)));
    }
    const { bytes, infoHash } = metainfoOf(hashes, chunkBytes);
    const { flags } = await connection.exchange(
        Type.METADATA_STORE, 0, storeBody(infoHash, bytes.length, 0, bytes),
    );
    assert.ok(!(flags & Flag.ERROR), "the metadata was not stored");
    return { hashes, infoHash };
}

/** As a client does before it downloads. */
export async function askForMetadata(connection, infoHash) {
    const { flags } = await connection.exchange(Type.METADATA_REQUEST, 0, requestBody(infoHash));
    assert.ok(!(flags & Flag.ERROR), "the metadata did not come");
}

/** Gets the chunks in order, `inFlight` at once, each checked; gives the milliseconds it took. */
export async function readInOrder(connection, hashes, inFlight) {
    const begun = performance.now();
    const left = hashes.values();
    const lane = async () => {
        for (const hash of left) assert.deepEqual(sha256(await connection.get(hash)), hash);
    };
    await Promise.all(Array.from({ length: inFlight }, lane));
    return performance.now() - begun;
}
