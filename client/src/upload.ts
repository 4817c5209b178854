/** Stores a file on a worker chunk by chunk, and its metadata last, so that a link works at once. */
import type { KollatorClient } from "./connection/client.ts";
import type { Session } from "./connection/session.ts";
import { KollatorError, isKind } from "./errors.ts";
import { type ChunkHasher, localHasher } from "./hash/chunk_hasher.ts";
import { type Digest, platformDigest } from "./hash/digest.ts";
import type { Bytes } from "./protocol/bytes.ts";
import { Residency, defaultMaxChunkBytes, maxStatNames } from "./protocol/constants.ts";
import { SliceReader } from "./slice_reader.ts";
import { leafBytes, unitBytesFor } from "./torrent/merkle.ts";
import { type Metainfo, buildMetainfo } from "./torrent/metainfo.ts";
import { type Deferred, abortable, deferred } from "./wait.ts";

export interface UploadProgress {
    totalBytes: number;
    hashedBytes: number;
    /** Of the file: sent, or found to be there already. */
    storedBytes: number;
    /** Of these, what was there already. */
    skippedBytes: number;
}

export interface UploadOptions {
    signal?: AbortSignal;
    hasher?: ChunkHasher;
    digest?: Digest;
    onProgress?: (progress: UploadProgress) => void;
    /** Told of what is going to be repeated. */
    onTrouble?: (error: KollatorError) => void;
}

export interface UploadResult {
    infoHash: Bytes;
    metainfo: Metainfo;
}

/** Stores that wait for their answer; only one of them holds its bytes (see Session). */
const storesInFlight = 4;
const mebibyte = 1024 * 1024;

export async function upload(
    client: KollatorClient,
    file: { blob: Blob; name: string },
    options: UploadOptions = {},
): Promise<UploadResult> {
    const maxChunkBytes = await client.run((session) => Promise.resolve(session.maxChunkBytes), {
        signal: options.signal,
        onTrouble: options.onTrouble,
    });
    const job = new Upload(client, file, chunkSizeFor(maxChunkBytes), options);
    return job.run();
}

/** The contract's chunk size, or what the worker takes: whole MiB, or a power of two below. */
export function chunkSizeFor(maxChunkBytes: number): number {
    const limit = Math.min(maxChunkBytes, defaultMaxChunkBytes);
    if (limit >= mebibyte) {
        return limit - (limit % mebibyte);
    }
    if (limit < leafBytes) {
        throw new KollatorError("unsupported", `the worker takes ${limit} bytes a chunk at most`);
    }
    return 2 ** Math.floor(Math.log2(limit));
}

interface Chunk {
    offset: number;
    length: number;
    hash: Deferred<Bytes>;
}

class Upload {
    readonly #client: KollatorClient;
    readonly #file: { blob: Blob; name: string };
    readonly #chunkSize: number;
    readonly #unitBytes: number;
    readonly #options: UploadOptions;
    readonly #hasher: ChunkHasher;
    readonly #digest: Digest;
    readonly #chunks: Chunk[];
    readonly #reader = new SliceReader();
    readonly #unitRoots: Bytes[][] = [];
    readonly #stop = new AbortController();
    readonly #signal: AbortSignal;
    /** Bytes that were handed to the channel of chunks that are not yet confirmed. */
    readonly #sending = new Map<number, number>();
    /** What CHUNK_STAT told, by the chunk's place in the file. */
    readonly #present = new Map<number, Promise<boolean>>();
    #hashedChunks = 0;
    #hashedBytes = 0;
    #confirmedBytes = 0;
    #skippedBytes = 0;

    constructor(
        client: KollatorClient,
        file: { blob: Blob; name: string },
        chunkSize: number,
        options: UploadOptions,
    ) {
        this.#client = client;
        this.#file = file;
        this.#chunkSize = chunkSize;
        this.#unitBytes = unitBytesFor(chunkSize, file.blob.size);
        this.#options = options;
        this.#digest = options.digest ?? platformDigest();
        this.#hasher = options.hasher ?? localHasher(this.#digest);
        this.#signal =
            options.signal === undefined
                ? this.#stop.signal
                : AbortSignal.any([options.signal, this.#stop.signal]);
        this.#chunks = chunksOf(file.blob.size, chunkSize);
    }

    async run(): Promise<UploadResult> {
        this.#report();
        const lanes = [
            ...this.#lanes(this.#hasher.parallel, (i) => this.#hash(i)),
            ...this.#lanes(storesInFlight, (i) => this.#store(i)),
        ];
        try {
            await Promise.all(lanes);
            return await this.#storeMetadata();
        } catch (error) {
            this.#stop.abort(error);
            await Promise.allSettled(lanes);
            throw error;
        }
    }

    /** `count` lanes that take the chunks in file order, each the next that none has taken. */
    #lanes(count: number, work: (index: number) => Promise<void>): Promise<void>[] {
        let next = 0;
        const lane = async (): Promise<void> => {
            while (next < this.#chunks.length) {
                this.#signal.throwIfAborted();
                await work(next++);
            }
        };
        return Array.from({ length: count }, lane);
    }

    async #hash(index: number): Promise<void> {
        const { offset, length, hash } = this.#chunks[index]!;
        try {
            const range = { offset, length, unitBytes: this.#unitBytes };
            const hashes = await this.#hasher.hash(this.#file.blob, range);
            this.#unitRoots[index] = hashes.unitRoots;
            hash.resolve(hashes.chunkHash);
        } catch (error) {
            hash.reject(error);
            throw error;
        }
        this.#hashedBytes += length;
        while (this.#unitRoots[this.#hashedChunks] !== undefined) {
            this.#hashedChunks++;
        }
        this.#report();
    }

    async #store(index: number): Promise<void> {
        const { offset, length, hash } = this.#chunks[index]!;
        const name = await abortable(hash.promise, this.#signal);
        if (await this.#isPresent(index)) {
            this.#skippedBytes += length;
        } else {
            const source = (): Promise<Bytes> =>
                this.#reader.read(this.#file.blob, offset, length);
            await this.#repeating((session) => {
                this.#sending.set(index, 0);
                return session.storeChunk(name, source, {
                    signal: this.#signal,
                    onSent: (bytes) => {
                        this.#sending.set(index, (this.#sending.get(index) ?? 0) + bytes);
                        this.#report();
                    },
                    onAllSent: (bytes) => this.#reader.giveBack(bytes),
                });
            });
            this.#sending.delete(index);
        }
        this.#confirmedBytes += length;
        this.#report();
    }

    /** Asks for all that are hashed and not asked for yet: few questions, however many chunks. */
    async #isPresent(index: number): Promise<boolean> {
        if (!this.#present.has(index)) {
            const end = Math.max(index + 1, Math.min(this.#hashedChunks, index + maxStatNames));
            const answers = this.#askFor(index, end);
            answers.catch(() => {});
            for (let i = index; i < end; i++) {
                const answer = answers.then((present) => present[i - index] ?? false);
                answer.catch(() => {});
                this.#present.set(i, answer);
            }
        }
        return this.#present.get(index)!;
    }

    async #askFor(begin: number, end: number): Promise<boolean[]> {
        const chunks = this.#chunks.slice(begin, end);
        const names = await Promise.all(chunks.map((chunk) => chunk.hash.promise));
        const stats = await this.#repeating((session) => session.stat(names, this.#signal));
        return stats.map(({ residency, sizeBytes }, i) => {
            const stored = residency !== Residency.notStored && residency !== Residency.unknown;
            return stored && sizeBytes === chunks[i]!.length;
        });
    }

    async #storeMetadata(): Promise<UploadResult> {
        const chunkHashes = await Promise.all(this.#chunks.map((chunk) => chunk.hash.promise));
        const metainfo = await buildMetainfo(
            {
                name: this.#file.name,
                sizeBytes: this.#file.blob.size,
                chunkSize: this.#chunkSize,
                chunkHashes,
            },
            { unitRoots: this.#unitRoots.flat(), unitBytes: this.#unitBytes },
            this.#digest,
        );
        const { infoHash, bytes } = metainfo;
        await this.#repeating((session) =>
            session.storeMetadata(infoHash, () => Promise.resolve(bytes), { signal: this.#signal }),
        );
        return { infoHash, metainfo };
    }

    async #repeating<T>(task: (session: Session) => Promise<T>): Promise<T> {
        try {
            const { onTrouble } = this.#options;
            return await this.#client.run(task, { signal: this.#signal, onTrouble });
        } catch (error) {
            if (isKind(error, "hash-mismatch")) {
                const message = "the file was changed while it was sent";
                throw new KollatorError("source", message, { cause: error });
            }
            throw error;
        }
    }

    #report(): void {
        let sendingBytes = 0;
        for (const bytes of this.#sending.values()) {
            sendingBytes += bytes;
        }
        this.#options.onProgress?.({
            totalBytes: this.#file.blob.size,
            hashedBytes: this.#hashedBytes,
            storedBytes: this.#confirmedBytes + sendingBytes,
            skippedBytes: this.#skippedBytes,
        });
    }
}

function chunksOf(sizeBytes: number, chunkSize: number): Chunk[] {
    return Array.from({ length: Math.ceil(sizeBytes / chunkSize) }, (_, i) => {
        const hash = deferred<Bytes>();
        hash.promise.catch(() => {});
        const offset = i * chunkSize;
        return { offset, length: Math.min(chunkSize, sizeBytes - offset), hash };
    });
}
