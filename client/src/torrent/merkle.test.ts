import assert from "node:assert/strict";
import { test } from "node:test";

import { platformDigest } from "../hash/digest.ts";
import { concatBytes, toHex } from "../protocol/bytes.ts";
import { fileTree, unitBytesFor, unitRoots } from "./merkle.ts";

const digest = platformDigest();
const mebibyte = 1024 * 1024;

/** What libtorrent 2.0.8 makes of the same bytes in pieces of 4 MiB: several units each. */
const ofLibtorrent: [size: number, root: string, pieces: number, layer: string][] = [
    [3000000, "c40a98c4df939d3e55d9685d2f7a1337111c71993100b67d8acd3d9d4d2746a3", 0,
        ""],
    [5242885, "c51110338911456b8ab94690bbdea93303438353a5420c1e3b8d62b343d76bc4", 2,
        "c51110338911456b8ab94690bbdea93303438353a5420c1e3b8d62b343d76bc4"],
    [12582909, "fe6ebcfc6e4385da933c615d356ee4922d842e0b207b1cee576afd5e0ba87cd2", 3,
        "5466b1137194f8c2a75c759b666b633e93d3b08d176fcc240b864c6e35527b40"],
];

for (const [sizeBytes, piecesRoot, pieces, layerHash] of ofLibtorrent) {
    test(`${sizeBytes} bytes in pieces of 4 MiB`, async () => {
        const bytes = Uint8Array.from(
            { length: sizeBytes },
            (_, i) => (i * 7 + (i >> 8) * 3 + (i >> 16)) & 0xff,
        );
        const roots = await unitRoots(bytes, mebibyte, digest);
        const file = { sizeBytes, unitBytes: mebibyte, pieceLength: 4 * mebibyte };
        const tree = await fileTree(roots, file, digest);
        assert.equal(toHex(tree.piecesRoot), piecesRoot);
        assert.equal(tree.pieceLayer.length, pieces);
        if (pieces > 0) {
            assert.equal(toHex(await digest(concatBytes(tree.pieceLayer))), layerHash);
        }
    });
}

test("a unit divides the chunk, and is no larger than a small file's tree", () => {
    assert.equal(unitBytesFor(5 * mebibyte, 1e9), mebibyte);
    assert.equal(unitBytesFor(512 * 1024, 1e9), 512 * 1024);
    assert.equal(unitBytesFor(5 * mebibyte, 1), 16384);
    assert.equal(unitBytesFor(5 * mebibyte, 16385), 32768);
    assert.equal(unitBytesFor(3 * 16384, 1e9), 16384);
});
