/** Hashes parts of a file, in this thread or in Web Workers; memory is one chunk for each. */
import { KollatorError } from "../errors.ts";
import type { Bytes } from "../protocol/bytes.ts";
import { SliceReader } from "../slice_reader.ts";
import { unitRoots } from "../torrent/merkle.ts";
import { type Digest, platformDigest } from "./digest.ts";

export interface ChunkHashes {
    chunkHash: Bytes;
    /** BEP 52, see torrent/merkle.ts. */
    unitRoots: Bytes[];
}

export interface ChunkRange {
    offset: number;
    length: number;
    unitBytes: number;
}

export interface ChunkHasher {
    /** How many chunks are worth hashing at the same time. */
    readonly parallel: number;
    /** Rejects with kind "source" where the file cannot be read. */
    hash(file: Blob, range: ChunkRange): Promise<ChunkHashes>;
    close(): void;
}

export function localHasher(digest: Digest = platformDigest()): ChunkHasher {
    const reader = new SliceReader();
    return {
        parallel: 1,
        async hash(file, range) {
            const bytes = await reader.read(file, range.offset, range.length);
            const chunkHash = await digest(bytes);
            const roots = await unitRoots(bytes, range.unitBytes, digest);
            reader.giveBack(bytes);
            return { chunkHash, unitRoots: roots };
        },
        close() {},
    };
}

export interface HashJob extends ChunkRange {
    id: number;
    file: Blob;
}

export type HashOutcome = { id: number; hashes: ChunkHashes } | { id: number; failure: string };

interface Waiting {
    resolve: (hashes: ChunkHashes) => void;
    reject: (error: Error) => void;
}

/** `startWorker` gives a Web Worker that runs hash_worker.ts. */
export function workerHasher(startWorker: () => Worker, parallel: number): ChunkHasher {
    const hands = Array.from({ length: Math.max(1, parallel) }, () => new HashHand(startWorker));
    return {
        parallel: hands.length,
        hash(file, range) {
            const [idlest] = [...hands].sort((a, b) => a.load - b.load);
            return idlest!.hash(file, range);
        },
        close() {
            hands.forEach((hand) => hand.close());
        },
    };
}

/** One Web Worker, started when it is first needed, and again after it failed. */
class HashHand {
    readonly #startWorker: () => Worker;
    readonly #waiting = new Map<number, Waiting>();
    #worker: Worker | undefined;
    #lastId = 0;

    constructor(startWorker: () => Worker) {
        this.#startWorker = startWorker;
    }

    get load(): number {
        return this.#waiting.size;
    }

    hash(file: Blob, range: ChunkRange): Promise<ChunkHashes> {
        const worker = (this.#worker ??= this.#start());
        const job: HashJob = { id: ++this.#lastId, file, ...range };
        return new Promise((resolve, reject) => {
            this.#waiting.set(job.id, { resolve, reject });
            worker.postMessage(job);
        });
    }

    close(): void {
        this.#worker?.terminate();
        this.#worker = undefined;
        this.#failAll("the hashing was ended");
    }

    #start(): Worker {
        const worker = this.#startWorker();
        worker.onmessage = (event: MessageEvent<HashOutcome>) => this.#settle(event.data);
        worker.onerror = (event) => {
            event.preventDefault();
            worker.terminate();
            this.#worker = undefined;
            this.#failAll(event.message || "the hashing worker did not start");
        };
        return worker;
    }

    #settle(outcome: HashOutcome): void {
        const waiting = this.#waiting.get(outcome.id);
        this.#waiting.delete(outcome.id);
        if ("hashes" in outcome) {
            waiting?.resolve(outcome.hashes);
        } else {
            waiting?.reject(new KollatorError("source", outcome.failure));
        }
    }

    #failAll(reason: string): void {
        for (const waiting of this.#waiting.values()) {
            waiting.reject(new KollatorError("internal", reason));
        }
        this.#waiting.clear();
    }
}
