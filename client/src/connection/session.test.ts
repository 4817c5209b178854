import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { deflateRawSync } from "node:zlib";
import { test } from "node:test";

import { FakeWorker } from "../../testing/fake_worker.ts";
import { memoryWires } from "../../testing/memory_wire.ts";
import { type ErrorKind, isKind } from "../errors.ts";
import { encodeFragment } from "../protocol/bodies.ts";
import { type Bytes, toHex } from "../protocol/bytes.ts";
import { ErrorCode, Flag, MessageType } from "../protocol/constants.ts";
import { decodeMessage, encodeMessage } from "../protocol/message.ts";
import { sleep } from "../wait.ts";
import { Session, type SessionOptions } from "./session.ts";
import type { Wire } from "./wire.ts";

function bytesOf(length: number, seed = 1): Bytes {
    return Uint8Array.from({ length }, (_, i) => (i * seed + (i >> 8)) & 0xff);
}

function nameOf(bytes: Bytes): Bytes {
    return Uint8Array.from(createHash("sha256").update(bytes).digest());
}

function start(options?: SessionOptions): {
    session: Session;
    worker: FakeWorker;
    far: Wire;
} {
    const [near, far] = memoryWires();
    const worker = new FakeWorker();
    worker.serve(far);
    return { session: new Session(near, options), worker, far };
}

function ofKind(kind: ErrorKind): (error: unknown) => boolean {
    return (error) => isKind(error, kind);
}

test("HELLO tells the largest chunk", async () => {
    const { session, worker } = start();
    worker.maxChunkBytes = 1_000_000;
    assert.equal((await session.hello()).id, "worker-001");
    assert.equal(session.maxChunkBytes, 1_000_000);
});

test("a chunk that was stored in fragments comes back the same", async () => {
    const { session } = start();
    const bytes = bytesOf(300_001);
    let sent = 0;
    const stored = await session.storeChunk(nameOf(bytes), () => Promise.resolve(bytes), {
        onSent: (more) => (sent += more),
    });
    assert.deepEqual(stored, { alreadyThere: false, durability: 2 });
    assert.equal(sent, bytes.length);
    let received = 0;
    const options = { onReceived: (soFar: number) => (received = soFar) };
    assert.deepEqual(await session.fetchChunk(nameOf(bytes), bytes.length, options), bytes);
    assert.equal(received, bytes.length);
});

test("requests are pipelined: answers find theirs by the id", async () => {
    const { session, worker } = start();
    const blobs = [1, 2, 3, 4, 5].map((seed) => bytesOf(50_000 + seed, seed));
    blobs.forEach((blob) => worker.chunks.set(toHex(nameOf(blob)), blob));
    const fetched = await Promise.all(
        blobs.map((blob) => session.fetchChunk(nameOf(blob), blob.length)),
    );
    assert.deepEqual(fetched, blobs);
});

test("both sides compress once HELLO agreed on it", async () => {
    const { session, worker } = start();
    worker.accept = ["deflate-raw"];
    await session.hello();
    const text = Uint8Array.from({ length: 200_000 }, (_, i) => (i * i) % 7);
    await session.storeChunk(nameOf(text), () => Promise.resolve(text));
    assert.ok(worker.packedSeen >= 3, `${worker.packedSeen} compressed messages`);
    assert.deepEqual(await session.fetchChunk(nameOf(text), text.length), text);
    assert.deepEqual(worker.chunks.get(toHex(nameOf(text))), text);

    const noise = Uint8Array.from(randomBytes(200_000));
    const before = worker.packedSeen;
    await session.storeChunk(nameOf(noise), () => Promise.resolve(noise));
    assert.equal(worker.packedSeen, before, "what does not shrink goes as it is");
});

test("nothing is compressed for a worker that does not accept it", async () => {
    const { session, worker } = start();
    await session.hello();
    const text = new Uint8Array(100_000);
    await session.storeChunk(nameOf(text), () => Promise.resolve(text));
    assert.equal(worker.packedSeen, 0);
});

test("a bomb, and what is no DEFLATE, end the request", async () => {
    const { session, far } = start();
    await session.hello();
    const bomb = deflateRawSync(new Uint8Array(1_000_000));
    for (const body of [Uint8Array.from(bomb), Uint8Array.of(255, 255, 255)]) {
        const fetching = session.fetchChunk(new Uint8Array(32), 2_000_000);
        const flags = Flag.response | Flag.compressed;
        far.onmessage = (request) => {
            const { requestId } = decodeMessage(request ?? new Uint8Array());
            const type = MessageType.chunkResponse;
            void far.send(encodeMessage({ type, flags, requestId }, body));
        };
        await assert.rejects(fetching, ofKind("protocol"));
    }
});

const codes: [keyof typeof ErrorCode, ErrorKind][] = [
    ["badRequest", "bad-request"],
    ["notFound", "not-found"],
    ["tooLarge", "too-large"],
    ["hashMismatch", "hash-mismatch"],
    ["busy", "busy"],
    ["unavailable", "unavailable"],
    ["unauthorized", "unauthorized"],
    ["unsupported", "unsupported"],
    ["cancelled", "cancelled"],
    ["internal", "internal"],
    ["quota", "quota"],
];
for (const [code, kind] of codes) {
    test(`an error ${code} is told as "${kind}", with the worker's advice`, async () => {
        const { session, worker } = start();
        worker.misbehave = () => ({ code: ErrorCode[code], retryAfterMs: 250, message: "why" });
        await assert.rejects(session.stat([new Uint8Array(32)]), (error) => {
            assert.ok(isKind(error, kind));
            assert.equal(error.retryAfterMs, 250);
            assert.equal(error.message, "why");
            return true;
        });
    });
}

test("a refusal by the operator is not told as something missing", async () => {
    const { session, worker } = start();
    const message = "refused: the operator of this worker denies this content";
    worker.misbehave = () => ({ code: ErrorCode.notFound, message });
    await assert.rejects(session.fetchChunk(new Uint8Array(32), 10), ofKind("refused"));
    const bytes = bytesOf(10);
    await assert.rejects(
        session.storeChunk(nameOf(bytes), () => Promise.resolve(bytes)),
        ofKind("refused"),
    );
});

test("sending stops when the worker refuses the first fragment", async () => {
    const { session, worker } = start();
    worker.misbehave = ({ message }) =>
        message.type === MessageType.chunkStore ? { code: ErrorCode.busy } : undefined;
    const bytes = bytesOf(5_000_000);
    await assert.rejects(
        session.storeChunk(nameOf(bytes), () => Promise.resolve(bytes)),
        ofKind("busy"),
    );
    assert.ok(worker.seen.length < 5, `${worker.seen.length} messages were sent`);
});

test("an aborted request is cancelled at the worker, and rejects with the signal's reason", async () => {
    const { session, worker } = start();
    worker.misbehave = ({ message }) =>
        message.type === MessageType.cancel ? undefined : "silence";
    const controller = new AbortController();
    const waiting = session.stat([new Uint8Array(32)], controller.signal);
    setImmediate(() => controller.abort(new Error("enough")));
    await assert.rejects(waiting, { message: "enough" });
    await new Promise((resolve) => setTimeout(resolve, 20));
    assert.deepEqual(worker.seen, [MessageType.chunkStat, MessageType.cancel]);
});

test("a worker that falls silent is a timeout", async () => {
    const { session, worker } = start({ requestTimeoutMs: 50 });
    worker.misbehave = () => "silence";
    await assert.rejects(session.stat([new Uint8Array(32)]), ofKind("timeout"));
});

const quick = { tickMs: 10, probeAfterMs: 60, lostAfterMs: 140, longestTickMs: 40 };
/** So many that silence would have been noticed three times. */
const looks = (3 * quick.lostAfterMs) / quick.tickMs;

test("a worker that gives no sign of life is lost, well before its requests are late", async () => {
    const [near, far] = memoryWires();
    const asked: number[] = [];
    far.onmessage = (message) => asked.push(decodeMessage(message ?? new Uint8Array()).type);
    const session = new Session(near, { liveness: quick });
    await assert.rejects(session.stat([new Uint8Array(32)]), ofKind("connection-lost"));
    assert.match(await session.closed, /no sign of life/);
    assert.deepEqual(asked, [MessageType.chunkStat, MessageType.hello]);
});

test("a worker that answers HELLO is waited for", async () => {
    const { session, worker } = start({ requestTimeoutMs: 400, liveness: quick });
    worker.misbehave = ({ message }) =>
        message.type === MessageType.chunkStat ? "silence" : undefined;
    const asked = session.stat([new Uint8Array(32)]);
    const beganMs = Date.now();
    await assert.rejects(asked, ofKind("timeout"));
    assert.ok(Date.now() - beganMs > 2 * quick.lostAfterMs);
    assert.ok(worker.seen.includes(MessageType.hello));
});

test("bytes of a message that is not whole yet are a sign of life", async () => {
    const [near, far] = memoryWires();
    let bytes = 0;
    Object.assign(near, { receivedBytes: () => Promise.resolve((bytes += 1200)) });
    far.onmessage = () => {};
    const session = new Session(near, { liveness: quick });
    const asked = session.stat([new Uint8Array(32)]).catch(() => {});
    while (bytes < 1200 * looks) {
        await sleep(quick.tickMs);
    }
    const state = await Promise.race([session.closed, Promise.resolve("open")]);
    assert.equal(state, "open");
    session.close();
    await asked;
});

test("what leaves the queue of an upload is a sign of life", async () => {
    const [near, far] = memoryWires();
    let queued = 1000 * looks;
    Object.defineProperty(near, "queuedBytes", { get: () => (queued -= 1000) });
    far.onmessage = () => {};
    const session = new Session(near, { liveness: quick });
    const asked = session.stat([new Uint8Array(32)]).catch(() => {});
    while (queued > 0) {
        await sleep(quick.tickMs);
    }
    const state = await Promise.race([session.closed, Promise.resolve("open")]);
    assert.equal(state, "open");
    session.close();
    await asked;
});

test("what was under way fails when the channel closes, and what follows too", async () => {
    const { session, worker } = start();
    worker.misbehave = () => "hang-up";
    await assert.rejects(session.stat([new Uint8Array(32)]), ofKind("connection-lost"));
    assert.equal(await session.closed, "the worker went away");
    await assert.rejects(session.stat([new Uint8Array(32)]), ofKind("connection-lost"));
});

/** A session whose far end answers each request with what `answer` gives. */
function scripted(answer: (request: Bytes) => Bytes[]): Session {
    const [near, far] = memoryWires(256 * 1024);
    far.onmessage = (request) => {
        answer(request ?? new Uint8Array()).forEach((bytes) => void far.send(bytes));
    };
    return new Session(near);
}

function fragmentOf(request: Bytes, total: number, offset: number, data: Bytes): Bytes {
    const { requestId } = decodeMessage(request);
    const body = encodeFragment({ total, offset, data });
    const more = offset + data.length < total ? Flag.more : 0;
    const flags = Flag.response | more;
    return encodeMessage({ type: MessageType.chunkResponse, flags, requestId }, body);
}

test("fragments are put in their place in whatever order they come", async () => {
    const bytes = bytesOf(10);
    const session = scripted((request) => [
        fragmentOf(request, 10, 6, bytes.subarray(6)),
        fragmentOf(request, 10, 0, bytes.subarray(0, 6)),
    ]);
    assert.deepEqual(await session.fetchChunk(nameOf(bytes), 10), bytes);
});

test("a blob larger than was asked for takes no memory", async () => {
    const session = scripted((request) => [fragmentOf(request, 0xffffffff, 0, bytesOf(10))]);
    await assert.rejects(session.fetchChunk(new Uint8Array(32), 10), ofKind("protocol"));
});

test("fragments that contradict each other end the request", async () => {
    const session = scripted((request) => [
        fragmentOf(request, 10, 0, bytesOf(3)),
        fragmentOf(request, 9, 3, bytesOf(3)),
    ]);
    await assert.rejects(session.fetchChunk(new Uint8Array(32), 10), ofKind("protocol"));
});

test("a compressed answer was not agreed", async () => {
    const session = scripted((request) => {
        const { requestId } = decodeMessage(request);
        const flags = Flag.response | Flag.compressed;
        const body = new Uint8Array([3, 0]);
        return [encodeMessage({ type: MessageType.chunkStat, flags, requestId }, body)];
    });
    await assert.rejects(session.stat([new Uint8Array(32)]), ofKind("protocol"));
});

test("garbage and answers to nothing are passed over", async (context) => {
    context.mock.method(console, "warn", () => {});
    const bytes = bytesOf(10);
    const session = scripted((request) => [
        new Uint8Array([1, 2, 3]),
        new Uint8Array([2, 0x40, 0, 0, 0, 1]),
        fragmentOf(new Uint8Array([1, 0, 9, 9, 9, 9]), 10, 0, bytes),
        fragmentOf(request, 10, 0, bytes),
    ]);
    assert.deepEqual(await session.fetchChunk(nameOf(bytes), 10), bytes);
});
