/**
 * Fetches a shared file: chunks side by side, each verified before use. Where the sink can write
 * anywhere, those that the worker has at hand go first; else they are written in order.
 */
import type { KollatorClient } from "./connection/client.ts";
import { KollatorError } from "./errors.ts";
import { type Digest, platformDigest } from "./hash/digest.ts";
import { HotOrder } from "./hot_order.ts";
import { type Bytes, equalBytes } from "./protocol/bytes.ts";
import { Residency, featureStatKnown } from "./protocol/constants.ts";
import { type SharedFile, UnusableMetainfo, openMetainfo } from "./torrent/metainfo.ts";
import { sleep } from "./wait.ts";

/** Takes the file's bytes in order, to keep; write() resolves when it is ready for more. */
export interface Sink {
    write(bytes: Bytes): Promise<void>;
    /** Where the bytes may be put anywhere: used in place of write(), several calls at once. */
    writeAt?(offset: number, bytes: Bytes): Promise<void>;
}

export interface DownloadProgress {
    totalBytes: number;
    /** Verified and written, and what has come of the chunks under way. */
    receivedBytes: number;
    /** Chunks that went first because the worker said that it had them at hand. */
    hintedChunks: number;
}

export interface FetchOptions {
    signal?: AbortSignal;
    digest?: Digest;
    onTrouble?: (error: KollatorError) => void;
}

export interface DownloadOptions extends FetchOptions {
    /**
     * "hot-first" (the default, where the sink has writeAt): chunks that the worker has in its
     * cache go first, which spares it fetches and is faster; "in-order": for playback.
     */
    order?: "hot-first" | "in-order";
    onProgress?: (progress: DownloadProgress) => void;
}

/** Memory: so many chunks, fetched or waiting for their turn to be written. */
const chunksInFlight = 4;
/** The first chunks do not wait longer than this for the worker to say what it has. */
const firstHintMs = 500;
/** What a worker takes: 32 bytes for each 5 MiB, so more than 1 TB of file. */
const maxMetadataBytes = 8 * 1024 * 1024;

/** The description behind a share link. Kind "not-found" where the worker does not know it. */
export async function openShare(
    client: KollatorClient,
    infoHash: Bytes,
    options: FetchOptions = {},
): Promise<SharedFile> {
    const { signal, onTrouble } = options;
    const digest = options.digest ?? platformDigest();
    try {
        return await client.run(
            async (session) => {
                const bytes = await session.fetchMetadata(infoHash, maxMetadataBytes, { signal });
                return openMetainfo(bytes, infoHash, digest);
            },
            { signal, onTrouble },
        );
    } catch (error) {
        if (error instanceof UnusableMetainfo) {
            throw new KollatorError("protocol", error.message, { cause: error });
        }
        throw error;
    }
}

export async function download(
    client: KollatorClient,
    file: SharedFile,
    sink: Sink,
    options: DownloadOptions = {},
): Promise<void> {
    await new Download(client, file, sink, options).run();
}

class Download {
    readonly #client: KollatorClient;
    readonly #file: SharedFile;
    readonly #sink: Sink;
    readonly #options: DownloadOptions;
    readonly #digest: Digest;
    readonly #stop = new AbortController();
    readonly #signal: AbortSignal;
    readonly #arriving = new Map<number, number>();
    #writtenBytes = 0;
    #hintedChunks = 0;
    #asking = false;

    constructor(client: KollatorClient, file: SharedFile, sink: Sink, options: DownloadOptions) {
        this.#client = client;
        this.#file = file;
        this.#sink = sink;
        this.#options = options;
        this.#digest = options.digest ?? platformDigest();
        this.#signal =
            options.signal === undefined
                ? this.#stop.signal
                : AbortSignal.any([options.signal, this.#stop.signal]);
    }

    async run(): Promise<void> {
        const anywhere = this.#sink.writeAt !== undefined && this.#options.order !== "in-order";
        try {
            await (anywhere ? this.#hotFirst() : this.#inOrder());
        } catch (error) {
            this.#stop.abort(error);
            throw error;
        }
    }

    async #inOrder(): Promise<void> {
        const fetching: Promise<Bytes>[] = [];
        let next = 0;
        for (let written = 0; written < this.#file.chunkHashes.length; written++) {
            while (fetching.length < chunksInFlight && next < this.#file.chunkHashes.length) {
                const chunk = this.#fetch(next++);
                chunk.catch(() => {});
                fetching.push(chunk);
            }
            const bytes = await fetching.shift()!;
            this.#signal.throwIfAborted();
            await this.#sink.write(bytes);
            this.#wrote(written, bytes);
        }
    }

    async #hotFirst(): Promise<void> {
        const order = new HotOrder(this.#file.chunkHashes.length);
        const lane = async (): Promise<void> => {
            for (let turn = order.next(); turn !== undefined; turn = order.next()) {
                this.#hintedChunks += turn.hinted ? 1 : 0;
                const bytes = await this.#fetch(turn.index);
                this.#signal.throwIfAborted();
                await this.#sink.writeAt!(turn.index * this.#file.chunkSize, bytes);
                this.#wrote(turn.index, bytes);
                void this.#ask(order);
            }
        };
        await Promise.race([this.#ask(order), sleep(firstHintMs, this.#signal)]);
        const lanes = Array.from({ length: chunksInFlight }, lane);
        try {
            await Promise.all(lanes);
        } catch (error) {
            this.#stop.abort(error);
            await Promise.allSettled(lanes);
            throw error;
        }
    }

    /** Hints only: whatever goes wrong, the chunks come all the same. */
    async #ask(order: HotOrder): Promise<void> {
        if (this.#asking) {
            return;
        }
        const asked = order.question(Date.now());
        if (asked.length === 0) {
            return;
        }
        this.#asking = true;
        try {
            const names = asked.map((index) => this.#file.chunkHashes[index]!);
            const stats = await this.#client.run(
                async (session) =>
                    session.has(featureStatKnown) ? session.statKnown(names, this.#signal) : [],
                { signal: this.#signal },
            );
            order.told(
                asked,
                asked.map((_, i) => stats[i]?.residency === Residency.cachedHere),
            );
        } catch {
            // The requests for the chunks themselves will tell.
        } finally {
            this.#asking = false;
        }
    }

    #fetch(index: number): Promise<Bytes> {
        const { signal, onTrouble } = { signal: this.#signal, onTrouble: this.#options.onTrouble };
        return this.#client.run(
            async (session) => {
                const name = this.#file.chunkHashes[index]!;
                const length = chunkLength(this.#file, index);
                const onReceived = (bytes: number): void => {
                    this.#arriving.set(index, bytes);
                    this.#report();
                };
                const bytes = await session.fetchChunk(name, length, { signal, onReceived });
                if (bytes.length !== length || !equalBytes(await this.#digest(bytes), name)) {
                    throw new KollatorError("corrupt", "a chunk does not match its name");
                }
                return bytes;
            },
            { signal, onTrouble },
        );
    }

    #wrote(index: number, bytes: Bytes): void {
        this.#writtenBytes += bytes.length;
        this.#arriving.delete(index);
        this.#report();
    }

    #report(): void {
        const arrivingBytes = [...this.#arriving.values()].reduce((sum, bytes) => sum + bytes, 0);
        this.#options.onProgress?.({
            totalBytes: this.#file.sizeBytes,
            receivedBytes: this.#writtenBytes + arrivingBytes,
            hintedChunks: this.#hintedChunks,
        });
    }
}

function chunkLength(file: SharedFile, index: number): number {
    return Math.min(file.chunkSize, file.sizeBytes - index * file.chunkSize);
}
