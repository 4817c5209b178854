/** A worker in memory, for tests: serves the contract, and misbehaves on demand. */
import { createHash } from "node:crypto";
import { deflateRawSync, inflateRawSync } from "node:zlib";

import type { Wire } from "../src/connection/wire.ts";
import * as bodies from "../src/protocol/bodies.ts";
import { type Bytes, encodeText, toHex } from "../src/protocol/bytes.ts";
import {
    ErrorCode,
    Flag,
    MessageType,
    Residency,
    featureStatKnown,
} from "../src/protocol/constants.ts";
import { type DecodedMessage, decodeAny } from "../src/protocol/decode.ts";
import {
    MalformedMessage,
    decodeMessage,
    encodeMessage,
    hasFlag,
} from "../src/protocol/message.ts";
import { decodeBencode, keyOf } from "../src/torrent/bencode.ts";

export interface Fault {
    code: number;
    retryAfterMs?: number;
    message?: string;
}

/** The answer to one request; undefined: as a good worker would. */
export type Misbehaviour = (request: DecodedMessage) => Fault | "silence" | "hang-up" | undefined;

interface Incoming {
    bytes: Bytes;
    received: number;
}

/** Small, so that even a small chunk comes in several fragments. */
const fragmentBytes = 16 * 1024;

export class FakeWorker {
    readonly chunks = new Map<string, Bytes>();
    readonly metadata = new Map<string, Bytes>();
    /** The types of the requests that came, in order. */
    readonly seen: number[] = [];
    readonly id: string;
    maxChunkBytes = 5 * 1024 * 1024;
    /** What CHUNK_STAT tells as resident. */
    readonly resident = new Set<string>();
    features: string[] = [featureStatKnown];
    /** The names of the chunks that were asked for, in order. */
    readonly asked: string[] = [];
    misbehave: Misbehaviour = () => undefined;
    /** What its HELLO accepts; with "deflate-raw" its own fragments are compressed too. */
    accept: string[] = [];
    /** Messages with COMPRESSED set that came. */
    packedSeen = 0;
    readonly #wires = new Set<Wire>();

    constructor(id = "worker-001") {
        this.id = id;
    }

    serve(wire: Wire): void {
        this.#wires.add(wire);
        const uploads = new Map<number, Incoming>();
        wire.onmessage = (bytes) => this.#handle(wire, uploads, bytes ?? new Uint8Array());
        wire.onclose = () => this.#wires.delete(wire);
    }

    get connections(): number {
        return this.#wires.size;
    }

    hangUp(): void {
        for (const wire of [...this.#wires]) {
            wire.close("the worker went away");
        }
    }

    #handle(wire: Wire, uploads: Map<number, Incoming>, received: Bytes): void {
        const reply = new Reply(wire, received, this.accept.length > 0);
        try {
            const bytes = this.#unpacked(received);
            const request = decodeAny(bytes, this.maxChunkBytes);
            this.seen.push(request.message.type);
            const fault = this.misbehave(request);
            if (fault === "hang-up") {
                wire.close("the worker went away");
            } else if (fault !== undefined && fault !== "silence") {
                reply.error(fault);
            } else if (fault === undefined) {
                this.#serve(request, uploads, reply);
            }
        } catch (error) {
            if (!(error instanceof MalformedMessage)) {
                throw error;
            }
            reply.error({ code: error.code, message: error.message });
        }
    }

    #unpacked(bytes: Bytes): Bytes {
        const message = decodeMessage(bytes);
        if (!hasFlag(message, Flag.compressed)) {
            return bytes;
        }
        this.packedSeen++;
        const head = { ...message, flags: message.flags & ~Flag.compressed };
        return encodeMessage(head, Uint8Array.from(inflateRawSync(message.body)));
    }

    #serve({ message, body }: DecodedMessage, uploads: Map<number, Incoming>, reply: Reply): void {
        if (body.kind === "hello") {
            const { id, maxChunkBytes, accept, features } = this;
            reply.json({ version: 1, role: "worker", id, accept, maxChunkBytes, features });
        } else if (body.kind === "range") {
            const isChunk = message.type === MessageType.chunkRequest;
            const blobs = isChunk ? this.chunks : this.metadata;
            if (isChunk) {
                this.asked.push(toHex(body.range.hash));
            }
            reply.blob(blobs.get(toHex(body.range.hash)), body.range.offset);
        } else if (body.kind === "store") {
            this.#take(message.type, message.requestId, body.store, uploads, reply);
        } else if (body.kind === "names" && message.type === MessageType.chunkStat) {
            reply.body(bodies.encodeStatAnswer(body.names.map((name) => this.#stat(name))));
        } else if (message.type === MessageType.healthCheck) {
            reply.json({ status: "healthy" });
        } else if (message.type !== MessageType.cancel) {
            reply.error({ code: ErrorCode.unsupported });
        }
    }

    #stat(name: Bytes): bodies.ChunkStat {
        const sizeBytes = this.chunks.get(toHex(name))?.length ?? 0;
        if (sizeBytes === 0) {
            return { sizeBytes, residency: Residency.notStored };
        }
        const isResident = this.resident.has(toHex(name));
        return { sizeBytes, residency: isResident ? Residency.cachedHere : Residency.objectStore };
    }

    #take(
        type: number,
        requestId: number,
        fragment: bodies.StoreFragment,
        uploads: Map<number, Incoming>,
        reply: Reply,
    ): void {
        const upload = uploads.get(requestId) ?? {
            bytes: new Uint8Array(fragment.total),
            received: 0,
        };
        uploads.set(requestId, upload);
        upload.bytes.set(fragment.data, fragment.offset);
        upload.received += fragment.data.length;
        if (upload.received < fragment.total) {
            return;
        }
        uploads.delete(requestId);
        const isChunk = type === MessageType.chunkStore;
        const named = isChunk ? upload.bytes : decodeBencode(upload.bytes).rawValues.get(keyOf("info"));
        const hash = createHash("sha256")
            .update(named ?? new Uint8Array())
            .digest("hex");
        if (hash !== toHex(fragment.hash)) {
            reply.error({ code: ErrorCode.hashMismatch });
            return;
        }
        const blobs = isChunk ? this.chunks : this.metadata;
        const alreadyThere = blobs.has(hash);
        blobs.set(hash, upload.bytes);
        reply.body(bodies.encodeStoreAnswer({ alreadyThere, durability: 2 }));
    }
}

class Reply {
    readonly #wire: Wire;
    readonly #type: number;
    readonly #requestId: number;
    readonly #packs: boolean;

    constructor(wire: Wire, request: Bytes, packs: boolean) {
        this.#packs = packs;
        const view = new DataView(request.buffer, request.byteOffset, request.byteLength);
        const type = request[0] ?? 0;
        this.#wire = wire;
        this.#type = type === MessageType.chunkRequest ? MessageType.chunkResponse : type;
        this.#requestId = request.length >= 6 ? view.getUint32(2) : 0;
    }

    json(value: unknown): void {
        this.body(encodeText(JSON.stringify(value)));
    }

    error({ code, retryAfterMs = 0, message = "" }: Fault): void {
        this.body(bodies.encodeError({ code, retryAfterMs, message }), Flag.error);
    }

    blob(bytes: Bytes | undefined, start: number): void {
        if (bytes === undefined) {
            this.error({ code: ErrorCode.notFound });
            return;
        }
        for (let offset = start; offset < bytes.length; offset += fragmentBytes) {
            const data = bytes.subarray(offset, offset + fragmentBytes);
            const more = offset + data.length < bytes.length ? Flag.more : 0;
            const plain = bodies.encodeFragment({ total: bytes.length, offset, data });
            if (this.#packs && offset % (2 * fragmentBytes) === 0) {
                // Every other one, so that they can overtake each other.
                this.body(Uint8Array.from(deflateRawSync(plain)), more | Flag.compressed);
            } else {
                this.body(plain, more);
            }
        }
    }

    body(body: Bytes, flags = 0): void {
        const head = { type: this.#type, requestId: this.#requestId, flags: flags | Flag.response };
        this.#wire.send(encodeMessage(head, body)).catch(() => {});
    }
}
