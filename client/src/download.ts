/** Fetches a shared file: chunks side by side, each verified before use, written in order. */
import type { KollatorClient } from "./connection/client.ts";
import { KollatorError } from "./errors.ts";
import { type Digest, platformDigest } from "./hash/digest.ts";
import { type Bytes, equalBytes } from "./protocol/bytes.ts";
import { type SharedFile, UnusableMetainfo, openMetainfo } from "./torrent/metainfo.ts";

/** Takes the file's bytes in order, to keep; write() resolves when it is ready for more. */
export interface Sink {
    write(bytes: Bytes): Promise<void>;
}

export interface DownloadProgress {
    totalBytes: number;
    /** Verified and written, and what has come of the chunks after these. */
    receivedBytes: number;
}

export interface FetchOptions {
    signal?: AbortSignal;
    digest?: Digest;
    onTrouble?: (error: KollatorError) => void;
}

export interface DownloadOptions extends FetchOptions {
    onProgress?: (progress: DownloadProgress) => void;
}

/** Memory: so many chunks, fetched or waiting for their turn to be written. */
const chunksInFlight = 4;
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
    const digest = options.digest ?? platformDigest();
    const stop = new AbortController();
    const signal =
        options.signal === undefined ? stop.signal : AbortSignal.any([options.signal, stop.signal]);
    const arriving = new Map<number, number>();
    let writtenBytes = 0;
    const report = (): void => {
        const arrivingBytes = [...arriving.values()].reduce((sum, bytes) => sum + bytes, 0);
        const receivedBytes = writtenBytes + arrivingBytes;
        options.onProgress?.({ totalBytes: file.sizeBytes, receivedBytes });
    };
    const fetchChunk = async (index: number): Promise<Bytes> =>
        client.run(
            async (session) => {
                const name = file.chunkHashes[index]!;
                const length = chunkLength(file, index);
                const onReceived = (bytes: number): void => {
                    arriving.set(index, bytes);
                    report();
                };
                const bytes = await session.fetchChunk(name, length, { signal, onReceived });
                if (bytes.length !== length || !equalBytes(await digest(bytes), name)) {
                    throw new KollatorError("corrupt", "a chunk does not match its name");
                }
                return bytes;
            },
            { signal, onTrouble: options.onTrouble },
        );

    const fetching: Promise<Bytes>[] = [];
    let next = 0;
    let written = 0;
    try {
        while (next < file.chunkHashes.length || fetching.length > 0) {
            while (fetching.length < chunksInFlight && next < file.chunkHashes.length) {
                const chunk = fetchChunk(next++);
                chunk.catch(() => {});
                fetching.push(chunk);
            }
            const bytes = await fetching.shift()!;
            signal.throwIfAborted();
            await sink.write(bytes);
            writtenBytes += bytes.length;
            arriving.delete(written++);
            report();
        }
    } catch (error) {
        stop.abort(error);
        throw error;
    }
}

function chunkLength(file: SharedFile, index: number): number {
    return Math.min(file.chunkSize, file.sizeBytes - index * file.chunkSize);
}
