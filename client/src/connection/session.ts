/** One worker's conversation over one data channel: requests pipelined, answers by their id. */
import { KollatorError, kindOfWireError } from "../errors.ts";
import {
    type ChunkStat,
    type ListAnswer,
    type ListRequest,
    type StoreAnswer,
    decodeError,
    decodeFragment,
    decodeListAnswer,
    decodeStatAnswer,
    decodeStoreAnswer,
    encodeFragmentHead,
    encodeListRequest,
    encodeRangeRequest,
    encodeStatRequest,
} from "../protocol/bodies.ts";
import { type Bytes, concatBytes } from "../protocol/bytes.ts";
import {
    Flag,
    MessageType,
    defaultMaxChunkBytes,
    hashBytes,
    headerBytes,
    maxMessageBytes,
} from "../protocol/constants.ts";
import { type Hello, decodeHello, encodeHello } from "../protocol/hello.ts";
import { type JsonObject, parseObject } from "../protocol/json.ts";
import {
    MalformedMessage,
    type Message,
    decodeMessage,
    encodeMessage,
    encodeMessageInto,
    hasFlag,
} from "../protocol/message.ts";
import { type Deferred, Mutex, abortable, deferred } from "../wait.ts";
import { BlobAssembly } from "./assembly.ts";
import { Packer, canDeflate, canInflate, deflateRaw, inflate } from "./deflate.ts";
import { LifeWatch } from "./life_watch.ts";
import { type LivenessLimits, livenessLimits } from "./liveness.ts";
import type { Wire } from "./wire.ts";

export interface SessionOptions {
    /** A request that hears and sends nothing for so long fails with "timeout". */
    requestTimeoutMs?: number;
    /** A worker that gives no sign of life for longer is lost. */
    liveness?: LivenessLimits;
    agent?: string;
}

export interface FetchOptions {
    signal?: AbortSignal | undefined;
    /** Told how many bytes of the blob have come so far. */
    onReceived?: (bytes: number) => void;
}

export interface StoreOptions {
    signal?: AbortSignal | undefined;
    /** Told how many bytes of the blob were handed to the channel. */
    onSent?: (bytes: number) => void;
    /** Given the blob when the session needs it no more, whether it was sent or not. */
    onAllSent?: (bytes: Bytes) => void;
}

/** Where the bytes of an upload come from: read when its turn has come, so that few are held. */
export type BlobSource = () => Promise<Bytes>;

/**
 * A message of this size holds the channel for a few milliseconds at most; larger ones were no
 * faster.
 */
const preferredMessageBytes = 64 * 1024;
const defaultRequestTimeoutMs = 30_000;
/** An answer of several messages that is not a blob (none is known to be longer). */
const maxAnswerBytes = 1024 * 1024;

interface Pending {
    startedMs: number;
    /** Takes one message of the answer; true when it was the last. */
    take: (message: Message) => boolean;
    fail: (error: unknown) => void;
    /** Settled when the messages so far are taken: those after a compressed one wait for it. */
    inbox?: Promise<void>;
}

/** One request that is sent in one message. */
interface Call<T> {
    type: number;
    body: Bytes;
    take: (message: Message) => T | undefined;
    signal?: AbortSignal | undefined;
}

export class Session {
    /** Resolves with the reason when the channel is gone. */
    readonly closed: Promise<string>;
    readonly #closed: Deferred<string> = deferred();
    readonly #wire: Wire;
    readonly #requestTimeoutMs: number;
    readonly #agent: string;
    readonly #pending = new Map<number, Pending>();
    /** One blob is sent after the other: side by side they would only hold more memory. */
    readonly #sending = new Mutex();
    /** The fragment that is being sent; free again when the wire has taken it. */
    readonly #fragment = new ArrayBuffer(preferredMessageBytes);
    readonly #watch: LifeWatch;
    #lastRequestId = 0;
    #probeId: number | undefined;
    #open = true;
    #maxChunkBytes = defaultMaxChunkBytes;
    /** What was agreed by HELLO. */
    #inflates = false;
    #deflates = false;
    #features: string[] = [];

    constructor(wire: Wire, options: SessionOptions = {}) {
        this.#wire = wire;
        this.#requestTimeoutMs = options.requestTimeoutMs ?? defaultRequestTimeoutMs;
        this.#agent = options.agent ?? "kollator-client";
        this.closed = this.#closed.promise;
        this.#watch = new LifeWatch(wire, options.liveness ?? livenessLimits, {
            onLook: () => this.#failSilent(),
            onProbe: () => this.#probe(),
            onLost: () => this.close("the worker gives no sign of life"),
        });
        wire.onmessage = (message) => this.#handle(message);
        wire.onclose = (reason) => this.#end(reason);
    }

    /** What the worker said in HELLO, or the default. */
    get maxChunkBytes(): number {
        return this.#maxChunkBytes;
    }

    /** What the worker said in HELLO that it can do besides. */
    has(feature: string): boolean {
        return this.#features.includes(feature);
    }

    close(reason?: string): void {
        this.#wire.close(reason);
    }

    async hello(signal?: AbortSignal): Promise<Hello> {
        this.#inflates = canInflate();
        const answer = await this.#call({
            type: MessageType.hello,
            body: this.#hello(),
            take: this.#whole(decodeHello),
            signal,
        });
        this.#deflates = answer.accept.includes(deflateRaw) && canDeflate();
        this.#maxChunkBytes = answer.maxChunkBytes;
        this.#features = answer.features;
        return answer;
    }

    #hello(): Bytes {
        return encodeHello(this.#agent, this.#inflates ? [deflateRaw] : []);
    }

    /** A HELLO that nobody waits for: what counts is that something comes. */
    #probe(): void {
        this.#probeId = this.#nextId();
        const head = { type: MessageType.hello, flags: 0, requestId: this.#probeId };
        this.#wire.send(encodeMessage(head, this.#hello())).catch(() => {});
    }

    /** Not verified: the caller checks the SHA-256. Kind "protocol" where it is over the limit. */
    fetchChunk(hash: Bytes, maxBytes: number, options?: FetchOptions): Promise<Bytes> {
        return this.#fetch(MessageType.chunkRequest, hash, maxBytes, options);
    }

    /** Not verified: the caller checks the info-hash. */
    fetchMetadata(infoHash: Bytes, maxBytes: number, options?: FetchOptions): Promise<Bytes> {
        return this.#fetch(MessageType.metadataRequest, infoHash, maxBytes, options);
    }

    storeChunk(hash: Bytes, source: BlobSource, options?: StoreOptions): Promise<StoreAnswer> {
        return this.#store(MessageType.chunkStore, hash, source, options);
    }

    storeMetadata(hash: Bytes, source: BlobSource, options?: StoreOptions): Promise<StoreAnswer> {
        return this.#store(MessageType.metadataStore, hash, source, options);
    }

    /** The worker asks its object store for the names that it does not know. */
    stat(hashes: readonly Bytes[], signal?: AbortSignal): Promise<ChunkStat[]> {
        return this.#stat(hashes, false, signal);
    }

    /**
     * Of what the worker knows without asking; the rest is unknown. REQUIRES: it has
     * featureStatKnown.
     */
    statKnown(hashes: readonly Bytes[], signal?: AbortSignal): Promise<ChunkStat[]> {
        return this.#stat(hashes, true, signal);
    }

    async #stat(
        hashes: readonly Bytes[],
        knownOnly: boolean,
        signal: AbortSignal | undefined,
    ): Promise<ChunkStat[]> {
        const stats = await this.#call({
            type: MessageType.chunkStat,
            body: encodeStatRequest({ names: [...hashes], knownOnly }),
            take: this.#whole(decodeStatAnswer),
            signal,
        });
        if (stats.length !== hashes.length) {
            throw new KollatorError("protocol", "the worker told of another number of chunks");
        }
        return stats;
    }

    list(request: ListRequest, signal?: AbortSignal): Promise<ListAnswer> {
        return this.#call({
            type: MessageType.chunkList,
            body: encodeListRequest(request),
            take: this.#whole(decodeListAnswer),
            signal,
        });
    }

    /** The document of GET /health. */
    health(signal?: AbortSignal): Promise<JsonObject> {
        return this.#call({
            type: MessageType.healthCheck,
            body: new Uint8Array(),
            take: this.#whole(parseObject),
            signal,
        });
    }

    #fetch(
        type: number,
        hash: Bytes,
        maxBytes: number,
        { signal, onReceived }: FetchOptions = {},
    ): Promise<Bytes> {
        const assembly = new BlobAssembly(maxBytes);
        return this.#call({
            type,
            body: encodeRangeRequest({ hash, offset: 0, length: 0 }),
            take: (message) => {
                const whole = assembly.add(decodeFragment(message.body));
                onReceived?.(assembly.receivedBytes);
                return whole;
            },
            signal,
        });
    }

    async #store(
        type: number,
        hash: Bytes,
        source: BlobSource,
        options: StoreOptions = {},
    ): Promise<StoreAnswer> {
        const { signal } = options;
        const id = this.#nextId();
        try {
            const answer = await this.#sending.run(async () => {
                const bytes = await source();
                const expected = this.#expect(id, this.#whole(decodeStoreAnswer));
                try {
                    await this.#sendFragments({ id, type, hash, bytes }, options);
                } finally {
                    options.onAllSent?.(bytes);
                }
                return expected;
            }, signal);
            return await abortable(answer.promise, signal);
        } catch (error) {
            this.#forget(id, signal);
            throw error;
        }
    }

    /** Stops early where the worker has answered already (with an error, or that it has it). */
    async #sendFragments(
        blob: { id: number; type: number; hash: Bytes; bytes: Bytes },
        { signal, onSent }: StoreOptions,
    ): Promise<void> {
        const { id, type, hash, bytes } = blob;
        const overhead = headerBytes + hashBytes + 8;
        const largest = Math.min(preferredMessageBytes, this.#wire.maxMessageBytes);
        const step = largest - overhead;
        const total = bytes.length;
        const packer = this.#deflates ? new Packer() : undefined;
        for (let offset = 0; offset < total; offset += step) {
            const pending = this.#pending.get(id);
            if (pending === undefined) {
                return;
            }
            const data = bytes.subarray(offset, offset + step);
            const last = offset + step >= total;
            const head = { type, flags: last ? 0 : Flag.more, requestId: id };
            const place = encodeFragmentHead(total, offset);
            const packed = await packer?.pack([hash, place, data]);
            const message =
                packed === undefined
                    ? encodeMessageInto(this.#fragment, head, hash, place, data)
                    : encodeMessage({ ...head, flags: head.flags | Flag.compressed }, packed);
            await this.#wire.send(message, signal);
            onSent?.(data.length);
        }
    }

    async #call<T>(call: Call<T>): Promise<T> {
        call.signal?.throwIfAborted();
        const id = this.#nextId();
        const answer = this.#expect(id, call.take);
        try {
            const { type, body } = call;
            const message = encodeMessage({ type, flags: 0, requestId: id }, body);
            await this.#wire.send(message, call.signal);
            return await abortable(answer.promise, call.signal);
        } catch (error) {
            this.#forget(id, call.signal);
            throw error;
        }
    }

    #expect<T>(id: number, take: (message: Message) => T | undefined): Deferred<T> {
        const answer = deferred<T>();
        // It may fail before anybody waits for it.
        answer.promise.catch(() => {});
        if (!this.#open) {
            answer.reject(new KollatorError("connection-lost", "the channel is closed"));
            return answer;
        }
        this.#pending.set(id, {
            startedMs: Date.now(),
            take: (message) => {
                const value = take(message);
                if (value !== undefined) {
                    answer.resolve(value);
                }
                return value !== undefined;
            },
            fail: answer.reject,
        });
        this.#watch.start();
        return answer;
    }

    /** An answer of one value; parts that come with MORE are joined first. */
    #whole<T>(decode: (body: Bytes) => T): (message: Message) => T | undefined {
        const parts: Bytes[] = [];
        let size = 0;
        return (message) => {
            parts.push(message.body);
            size += message.body.length;
            if (size > maxAnswerBytes) {
                throw new MalformedMessage("an answer over the limit");
            }
            return hasFlag(message, Flag.more) ? undefined : decode(concatBytes(parts));
        };
    }

    #handle(bytes: Bytes | undefined): void {
        try {
            if (bytes === undefined || bytes.length > maxMessageBytes) {
                throw new MalformedMessage("not a binary message within the limit");
            }
            const message = decodeMessage(bytes);
            if (message.requestId === this.#probeId) {
                this.#watch.probeAnswered();
                return;
            }
            this.#watch.heard();
            this.#route(message);
        } catch (error) {
            if (!(error instanceof MalformedMessage)) {
                throw error;
            }
            // Whose answer it was cannot be known; the request ends by its timeout.
            console.warn(`kollator: a message was dropped: ${error.message}`);
        }
    }

    #route(message: Message): void {
        const pending = this.#pending.get(message.requestId);
        if (!hasFlag(message, Flag.response)) {
            this.#refuse(message);
        } else if (pending !== undefined) {
            this.#deliver(message, pending);
        }
        // Else the rest of an answer to what was cancelled or given up.
    }

    /** In order, though inflating takes a while. */
    #deliver(message: Message, pending: Pending): void {
        const packed = hasFlag(message, Flag.compressed) && this.#inflates;
        if (!packed && pending.inbox === undefined) {
            this.#answer(message, pending);
            return;
        }
        const answer = async (): Promise<void> => {
            const plain = packed ? await this.#unpack(message, pending) : message;
            if (plain !== undefined && this.#pending.get(message.requestId) === pending) {
                this.#answer(plain, pending);
            }
        };
        pending.inbox = (pending.inbox ?? Promise.resolve()).then(answer);
    }

    /** Undefined where it could not be; the request has failed then. */
    async #unpack(message: Message, pending: Pending): Promise<Message | undefined> {
        try {
            const body = await inflate(message.body, maxMessageBytes - headerBytes);
            return { ...message, body, flags: message.flags & ~Flag.compressed };
        } catch (error) {
            pending.fail(new KollatorError("protocol", String(error), { cause: error }));
            this.#pending.delete(message.requestId);
            return undefined;
        }
    }

    #answer(message: Message, pending: Pending): void {
        let done = true;
        try {
            if (hasFlag(message, Flag.compressed) || hasFlag(message, Flag.encrypted)) {
                throw new MalformedMessage("compressed or sealed, which was not agreed");
            }
            if (hasFlag(message, Flag.error)) {
                const { code, retryAfterMs, message: detail } = decodeError(message.body);
                pending.fail(new KollatorError(kindOfWireError(code, detail), detail, { retryAfterMs }));
            } else {
                done = pending.take(message);
            }
        } catch (error) {
            if (!(error instanceof MalformedMessage)) {
                throw error;
            }
            pending.fail(new KollatorError("protocol", error.message, { cause: error }));
        }
        if (done) {
            this.#pending.delete(message.requestId);
        }
    }

    /** A client serves nothing: every request of a worker but HELLO is answered so. */
    #refuse(message: Message): void {
        if (message.type === MessageType.cancel) {
            return;
        }
        const body = new Uint8Array([0, 8, 0, 0, 0, 0]);
        const flags = Flag.response | Flag.error;
        const { type, requestId } = message;
        this.#wire.send(encodeMessage({ type, flags, requestId }, body)).catch(() => {});
    }

    /** After a request was given up: tells the worker so that it stops working for it. */
    #forget(id: number, signal: AbortSignal | undefined): void {
        const known = this.#pending.delete(id);
        if (this.#open && (known || signal?.aborted)) {
            const head = { type: MessageType.cancel, flags: 0, requestId: id };
            this.#wire.send(encodeMessage(head)).catch(() => {});
        }
    }

    /** Gives whether some requests are left. */
    #failSilent(): boolean {
        const { lastHeardMs } = this.#watch;
        const oldest = Date.now() - this.#requestTimeoutMs;
        for (const [id, pending] of this.#pending) {
            if (Math.max(pending.startedMs, lastHeardMs) < oldest) {
                pending.fail(new KollatorError("timeout", "the worker does not answer"));
                this.#forget(id, undefined);
            }
        }
        return this.#pending.size > 0;
    }

    #end(reason: string): void {
        this.#open = false;
        this.#watch.stop();
        for (const pending of this.#pending.values()) {
            pending.fail(new KollatorError("connection-lost", reason));
        }
        this.#pending.clear();
        this.#closed.resolve(reason);
    }

    #nextId(): number {
        do {
            this.#lastRequestId = (this.#lastRequestId + 1) >>> 0;
        } while (this.#pending.has(this.#lastRequestId));
        return this.#lastRequestId;
    }
}
