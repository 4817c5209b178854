/**
 * Where a received file goes, the best that the browser offers: straight to a file that the reader
 * picks; to the origin's private file system, then handed over as a download; or to Blobs, which
 * browsers keep on disk when they grow. None holds the file in the page's memory.
 */
import type { Sink } from "../../client/src/download.ts";
import type { Bytes } from "../../client/src/protocol/bytes.ts";

export interface Target extends Sink {
    /** Everything was written. Gives the file where it has to be handed over as a download. */
    finish(): Promise<Blob | undefined>;
    abort(): Promise<void>;
}

interface SavePicker {
    showSaveFilePicker?: (options: { suggestedName: string }) => Promise<FileSystemFileHandle>;
}

const privateFolder = "kollator-downloads";

/** REQUIRES: a click of the reader's is being handled. Rejects with AbortError where they decline. */
export async function chooseTarget(name: string, sizeBytes: number): Promise<Target> {
    const { showSaveFilePicker } = window as SavePicker;
    if (showSaveFilePicker !== undefined) {
        const handle = await showSaveFilePicker.call(window, { suggestedName: name });
        return new FileTarget(await handle.createWritable());
    }
    return (await privateTarget(sizeBytes)) ?? new BlobTarget();
}

/** Straight to the reader's disk. */
class FileTarget implements Target {
    readonly #file: FileSystemWritableFileStream;

    constructor(file: FileSystemWritableFileStream) {
        this.#file = file;
    }

    write(bytes: Bytes): Promise<void> {
        return this.#file.write(bytes);
    }

    writeAt(position: number, data: Bytes): Promise<void> {
        return this.#file.write({ type: "write", position, data });
    }

    async finish(): Promise<undefined> {
        await this.#file.close();
        return undefined;
    }

    abort(): Promise<void> {
        return this.#file.abort();
    }
}

class PrivateTarget implements Target {
    readonly #handle: FileSystemFileHandle;
    readonly #file: FileSystemWritableFileStream;
    readonly #remove: () => Promise<void>;

    constructor(
        handle: FileSystemFileHandle,
        file: FileSystemWritableFileStream,
        remove: () => Promise<void>,
    ) {
        this.#handle = handle;
        this.#file = file;
        this.#remove = remove;
    }

    write(bytes: Bytes): Promise<void> {
        return this.#file.write(bytes);
    }

    writeAt(position: number, data: Bytes): Promise<void> {
        return this.#file.write({ type: "write", position, data });
    }

    async finish(): Promise<Blob> {
        await this.#file.close();
        return this.#handle.getFile();
    }

    async abort(): Promise<void> {
        await this.#file.abort();
        await this.#remove();
    }
}

class BlobTarget implements Target {
    readonly #parts: Blob[] = [];

    write(bytes: Bytes): Promise<void> {
        this.#parts.push(new Blob([bytes]));
        return Promise.resolve();
    }

    finish(): Promise<Blob> {
        return Promise.resolve(new Blob(this.#parts, { type: "application/octet-stream" }));
    }

    abort(): Promise<void> {
        this.#parts.length = 0;
        return Promise.resolve();
    }
}

/** Undefined where there is no such file system, or no room in it. */
async function privateTarget(sizeBytes: number): Promise<Target | undefined> {
    try {
        const { quota = 0, usage = 0 } = await navigator.storage.estimate();
        if (!("createWritable" in FileSystemFileHandle.prototype) || quota - usage < sizeBytes) {
            return undefined;
        }
        const folder = await openFolder();
        const name = crypto.randomUUID();
        await holdLock(name);
        const handle = await folder.getFileHandle(name, { create: true });
        const file = await handle.createWritable();
        return new PrivateTarget(handle, file, () => folder.removeEntry(name));
    } catch {
        return undefined;
    }
}

async function openFolder(): Promise<FileSystemDirectoryHandle> {
    const root = await navigator.storage.getDirectory();
    return root.getDirectoryHandle(privateFolder, { create: true });
}

/** Held until the page goes: the browser may still be copying the file to its place. */
function holdLock(name: string): Promise<void> {
    return new Promise((resolve, reject) => {
        navigator.locks
            .request(lockOf(name), () => {
                resolve();
                return new Promise<never>(() => {});
            })
            .catch(reject);
    });
}

function lockOf(name: string): string {
    return `${privateFolder}/${name}`;
}

/** Removes what pages that are gone have left. */
export async function removeLeftovers(): Promise<void> {
    try {
        const folder = await openFolder();
        for await (const name of (folder as unknown as { keys(): AsyncIterable<string> }).keys()) {
            await navigator.locks.request(lockOf(name), { ifAvailable: true }, async (lock) => {
                if (lock !== null) {
                    await folder.removeEntry(name);
                }
            });
        }
    } catch {
        // No private file system here, or it is in use: nothing to clean.
    }
}
