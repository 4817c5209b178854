/** The Web Worker behind workerHasher(): a bundle of its own. */
import { type HashJob, type HashOutcome, localHasher } from "./chunk_hasher.ts";

/** What of DedicatedWorkerGlobalScope is used; the DOM's types stand for a window. */
interface WorkerScope {
    onmessage: ((event: MessageEvent<HashJob>) => void) | null;
    postMessage(outcome: HashOutcome): void;
}

const scope = globalThis as unknown as WorkerScope;
const hasher = localHasher();

scope.onmessage = async ({ data: job }) => {
    try {
        scope.postMessage({ id: job.id, hashes: await hasher.hash(job.file, job) });
    } catch (error) {
        const failure = error instanceof Error ? error.message : String(error);
        scope.postMessage({ id: job.id, failure });
    }
};
