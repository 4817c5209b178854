/** Uploads and downloads through a client, against a worker that misbehaves. */
import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";

import { FakeNetwork } from "../testing/fake_platform.ts";
import { FakeWorker } from "../testing/fake_worker.ts";
import { KollatorClient } from "./connection/client.ts";
import { type Sink, download, openShare } from "./download.ts";
import { type ErrorKind, isKind } from "./errors.ts";
import { localHasher } from "./hash/chunk_hasher.ts";
import { type Bytes, concatBytes, toHex } from "./protocol/bytes.ts";
import { ErrorCode, MessageType } from "./protocol/constants.ts";
import type { SharedFile } from "./torrent/metainfo.ts";
import { type UploadProgress, chunkSizeFor, upload } from "./upload.ts";

const mebibyte = 1024 * 1024;
let worker: FakeWorker;
let client: KollatorClient;

beforeEach(() => {
    worker = new FakeWorker();
    worker.maxChunkBytes = mebibyte;
    const platform = new FakeNetwork(worker).platform();
    client = new KollatorClient({ frontUrl: "http://front/", platform, giveUpAfterMs: 5000 });
});

afterEach(() => client.close());

function sampleFile(sizeBytes: number): Bytes {
    const bytes = new Uint8Array(sizeBytes);
    for (let i = 0; i < sizeBytes; i++) {
        bytes[i] = (i * 13 + (i >> 9) + (i >> 20) * 7) & 0xff;
    }
    return bytes;
}

function ofKind(kind: ErrorKind): (error: unknown) => boolean {
    return (error) => isKind(error, kind);
}

function counted(type: number): number {
    return worker.seen.filter((seen) => seen === type).length;
}

async function roundTrip(bytes: Bytes): Promise<Bytes> {
    const { infoHash } = await upload(client, { blob: new Blob([bytes]), name: "file.bin" });
    const file = await openShare(client, infoHash);
    assert.equal(file.name, "file.bin");
    assert.equal(file.sizeBytes, bytes.length);
    return fetchAll(file);
}

async function fetchAll(file: Awaited<ReturnType<typeof openShare>>): Promise<Bytes> {
    const parts: Bytes[] = [];
    await download(client, file, {
        write: (part) => {
            parts.push(part);
            return Promise.resolve();
        },
    });
    return concatBytes(parts);
}

for (const sizeBytes of [0, 1, mebibyte, mebibyte + 1, 7 * mebibyte + 12345]) {
    test(`a file of ${sizeBytes} bytes comes back byte for byte`, async () => {
        const bytes = sampleFile(sizeBytes);
        assert.deepEqual(await roundTrip(bytes), bytes);
        assert.equal(worker.chunks.size, Math.ceil(sizeBytes / mebibyte));
    });
}

test("an upload sends only what is missing, and its progress tells both", async () => {
    const blob = new Blob([sampleFile(5 * mebibyte)]);
    await upload(client, { blob, name: "a" });
    const names = [...worker.chunks.keys()];
    worker.chunks.delete(names[1]!);
    worker.chunks.delete(names[3]!);
    worker.seen.length = 0;
    const reports: UploadProgress[] = [];
    await upload(client, { blob, name: "a" }, { onProgress: (report) => reports.push({ ...report }) });
    assert.equal(worker.chunks.size, 5);
    const fragmentsOfTwoChunks = 2 * Math.ceil(mebibyte / (65536 - 46));
    assert.equal(counted(MessageType.chunkStore), fragmentsOfTwoChunks);
    assert.deepEqual(reports.at(-1), {
        totalBytes: 5 * mebibyte,
        hashedBytes: 5 * mebibyte,
        storedBytes: 5 * mebibyte,
        skippedBytes: 3 * mebibyte,
    });
    reports.reduce((before, after) => {
        assert.ok(after.storedBytes >= before.storedBytes, "progress went back");
        return after;
    });
});

test("an upload outlives connections that break in the middle", async () => {
    let breaks = 3;
    worker.misbehave = ({ message, body }) =>
        message.type === MessageType.chunkStore &&
        body.kind === "store" &&
        body.store.offset > mebibyte / 2 &&
        breaks-- > 0
            ? "hang-up"
            : undefined;
    const bytes = sampleFile(4 * mebibyte);
    assert.deepEqual(await roundTrip(bytes), bytes);
    assert.ok(breaks <= 0);
});

test("a download outlives connections that break, and chunks that arrive spoilt once", async () => {
    const bytes = sampleFile(4 * mebibyte);
    const { infoHash } = await upload(client, { blob: new Blob([bytes]), name: "a" });
    const [name, good] = [...worker.chunks][2]!;
    const bad = good.slice();
    bad[1000]! ^= 1;
    worker.chunks.set(name, bad);
    let requests = 0;
    worker.misbehave = ({ message, body }) => {
        const isChunk = message.type === MessageType.chunkRequest && body.kind === "range";
        if (isChunk && toHex(body.range.hash) === name && ++requests === 2) {
            worker.chunks.set(name, good);
        }
        return isChunk && requests === 1 && counted(MessageType.chunkRequest) === 4
            ? "hang-up"
            : undefined;
    };
    assert.deepEqual(await fetchAll(await openShare(client, infoHash)), bytes);
    assert.ok(requests >= 2);
});

test("a chunk that stays spoilt is never written", async () => {
    const { infoHash } = await upload(client, { blob: new Blob([sampleFile(100)]), name: "a" });
    const [name] = [...worker.chunks.keys()];
    worker.chunks.set(name!, sampleFile(100).reverse());
    const file = await openShare(client, infoHash);
    const written: Bytes[] = [];
    const sink = { write: (part: Bytes) => Promise.resolve(void written.push(part)) };
    await assert.rejects(download(client, file, sink), ofKind("corrupt"));
    assert.equal(written.length, 0);
});

test("a link that nobody knows is not found", async () => {
    await assert.rejects(openShare(client, new Uint8Array(32)), ofKind("not-found"));
});

test("metadata under a wrong name is refused", async () => {
    await upload(client, { blob: new Blob([sampleFile(100)]), name: "a" });
    const [bytes] = [...worker.metadata.values()];
    worker.metadata.set("00".repeat(32), bytes!);
    await assert.rejects(openShare(client, new Uint8Array(32)), ofKind("protocol"));
});

test("a file that changes while it is sent ends the upload, and says so", async () => {
    const honest = localHasher();
    const bytes = sampleFile(3 * mebibyte);
    const hasher = {
        ...honest,
        hash: async (blob: Blob, range: { offset: number; length: number; unitBytes: number }) => {
            const hashes = await honest.hash(blob, range);
            bytes[0] = 99;
            return range.offset === 0
                ? { ...hashes, chunkHash: hashes.chunkHash.slice().reverse() }
                : hashes;
        },
    };
    const sent = upload(client, { blob: new Blob([bytes]), name: "a" }, { hasher });
    await assert.rejects(sent, ofKind("source"));
    assert.equal(worker.metadata.size, 0);
});

test("an aborted upload stops, and leaves no metadata", async () => {
    const controller = new AbortController();
    const blob = new Blob([sampleFile(8 * mebibyte)]);
    const sent = upload(client, { blob, name: "a" }, {
        signal: controller.signal,
        onProgress: ({ storedBytes }) => {
            if (storedBytes > 2 * mebibyte) {
                controller.abort(new Error("enough"));
            }
        },
    });
    await assert.rejects(sent, { message: "enough" });
    assert.ok(worker.chunks.size < 8);
    assert.equal(worker.metadata.size, 0);
});

test("a slow sink holds back the requests", async () => {
    const bytes = sampleFile(12 * mebibyte);
    const { infoHash } = await upload(client, { blob: new Blob([bytes]), name: "a" });
    const file = await openShare(client, infoHash);
    worker.seen.length = 0;
    let written = 0;
    let mostAhead = 0;
    await download(client, file, {
        write: async () => {
            await new Promise((resolve) => setTimeout(resolve, 20));
            mostAhead = Math.max(mostAhead, counted(MessageType.chunkRequest) - written);
            written++;
        },
    });
    assert.equal(written, 12);
    assert.ok(mostAhead <= 5, `${mostAhead} chunks at once`);
});

/** A sink that takes bytes anywhere. */
function anywhere(sizeBytes: number): { bytes: Bytes; sink: Sink } {
    const bytes = new Uint8Array(sizeBytes);
    const writeAt = (offset: number, part: Bytes): Promise<void> => {
        bytes.set(part, offset);
        return Promise.resolve();
    };
    return { bytes, sink: { write: () => Promise.reject(new Error("in order")), writeAt } };
}

async function uploaded(sizeBytes: number): Promise<SharedFile> {
    const blob = new Blob([sampleFile(sizeBytes)]);
    const { infoHash } = await upload(client, { blob, name: "a" });
    worker.seen.length = 0;
    return openShare(client, infoHash);
}

test("what the worker has at hand goes first, wherever it belongs", async () => {
    const file = await uploaded(9 * mebibyte + 5);
    const names = file.chunkHashes.map(toHex);
    for (const index of [3, 6, 9]) {
        worker.resident.add(names[index]!);
    }
    const { bytes, sink } = anywhere(file.sizeBytes);
    let hinted = 0;
    await download(client, file, sink, { onProgress: (report) => (hinted = report.hintedChunks) });
    assert.deepEqual(bytes, sampleFile(file.sizeBytes));
    assert.deepEqual(
        worker.asked.map((name) => names.indexOf(name)),
        [3, 6, 9, 0, 1, 2, 4, 5, 7, 8],
    );
    assert.equal(hinted, 3);
});

test("in-order playback asks for no hints", async () => {
    const file = await uploaded(3 * mebibyte);
    worker.resident.add(toHex(file.chunkHashes[2]!));
    const parts: Bytes[] = [];
    const { sink } = anywhere(0);
    const write = (part: Bytes): Promise<void> => Promise.resolve(void parts.push(part));
    await download(client, file, { ...sink, write }, { order: "in-order" });
    assert.deepEqual(concatBytes(parts), sampleFile(file.sizeBytes));
    assert.equal(counted(MessageType.chunkStat), 0);
});

test("a worker that does not know hints is asked for none", async () => {
    worker.features = [];
    const file = await uploaded(3 * mebibyte);
    const { bytes, sink } = anywhere(file.sizeBytes);
    await download(client, file, sink);
    assert.deepEqual(bytes, sampleFile(file.sizeBytes));
    assert.equal(counted(MessageType.chunkStat), 0);
});

test("hints that fail or come late are done without", async () => {
    const file = await uploaded(3 * mebibyte);
    for (const fault of ["silence", { code: ErrorCode.badRequest }] as const) {
        worker.misbehave = ({ message }) =>
            message.type === MessageType.chunkStat ? fault : undefined;
        const { bytes, sink } = anywhere(file.sizeBytes);
        await download(client, file, sink);
        assert.deepEqual(bytes, sampleFile(file.sizeBytes));
    }
});

test("a sink that fails ends a download, whatever is under way", async () => {
    const file = await uploaded(6 * mebibyte);
    const writeAt = (): Promise<void> => Promise.reject(new Error("disk full"));
    const { sink } = anywhere(0);
    await assert.rejects(download(client, file, { ...sink, writeAt }), { message: "disk full" });
});

test("a full store ends the upload with its own word", async () => {
    worker.misbehave = ({ message }) =>
        message.type === MessageType.chunkStore ? { code: ErrorCode.quota } : undefined;
    const blob = new Blob([sampleFile(100)]);
    await assert.rejects(upload(client, { blob, name: "a" }), ofKind("quota"));
});

test("the chunk size fits the worker's limit and the Merkle tree", () => {
    assert.equal(chunkSizeFor(5 * mebibyte), 5 * mebibyte);
    assert.equal(chunkSizeFor(64 * mebibyte), 5 * mebibyte);
    assert.equal(chunkSizeFor(5_000_000), 4 * mebibyte);
    assert.equal(chunkSizeFor(1_000_000), 512 * 1024);
    assert.equal(chunkSizeFor(16384), 16384);
    assert.throws(() => chunkSizeFor(16383), ofKind("unsupported"));
});
