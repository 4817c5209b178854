import assert from "node:assert/strict";
import { test } from "node:test";

import { isKind } from "./errors.ts";
import { SliceReader } from "./slice_reader.ts";

const file = new Blob([Uint8Array.from({ length: 300_000 }, (_, i) => (i * 7 + (i >> 8)) & 0xff)]);

test("reads the bytes that stand there, also into memory that was used before", async () => {
    const reader = new SliceReader();
    for (const [offset, length] of [[0, 200_000], [100_000, 200_000], [5, 1], [0, 300_000]] as const) {
        const bytes = await reader.read(file, offset, length);
        const expected = await file.slice(offset, offset + length).arrayBuffer();
        assert.deepEqual(bytes, new Uint8Array(expected));
        reader.giveBack(bytes);
    }
});

test("two reads at a time do not share memory", async () => {
    const reader = new SliceReader();
    reader.giveBack(await reader.read(file, 0, 100_000));
    const both = await Promise.all([reader.read(file, 0, 100_000), reader.read(file, 7, 100_000)]);
    assert.notEqual(both[0].buffer, both[1].buffer);
    assert.deepEqual(both[1].subarray(0, 10), new Uint8Array(await file.slice(7, 17).arrayBuffer()));
});

test("a file that is shorter than it was, or cannot be read, is told as such", async () => {
    const reader = new SliceReader();
    const isSource = (error: unknown): boolean => isKind(error, "source");
    await assert.rejects(reader.read(file, 299_999, 2), isSource);
    const gone = new Blob(["x"]);
    const failing = (): never => {
        throw new DOMException("gone", "NotReadableError");
    };
    gone.slice = () => Object.assign(new Blob(["x"]), { stream: failing, arrayBuffer: failing });
    await assert.rejects(reader.read(gone, 0, 1), isSource);
});
