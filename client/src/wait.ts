/** Waiting that an AbortSignal ends. */

export function sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
        signal?.throwIfAborted();
        const timer = setTimeout(done, ms);
        function done(): void {
            signal?.removeEventListener("abort", aborted);
            resolve();
        }
        function aborted(): void {
            clearTimeout(timer);
            reject(signal?.reason);
        }
        signal?.addEventListener("abort", aborted, { once: true });
    });
}

/** `promise`, or the signal's reason where that comes first. */
export function abortable<T>(promise: Promise<T>, signal?: AbortSignal): Promise<T> {
    if (signal === undefined) {
        return promise;
    }
    return new Promise((resolve, reject) => {
        const aborted = (): void => reject(signal.reason);
        if (signal.aborted) {
            aborted();
            return;
        }
        signal.addEventListener("abort", aborted, { once: true });
        promise.then(resolve, reject).finally(() => {
            signal.removeEventListener("abort", aborted);
        });
    });
}

export interface Deferred<T> {
    promise: Promise<T>;
    resolve: (value: T) => void;
    reject: (reason: unknown) => void;
}

export function deferred<T>(): Deferred<T> {
    let resolve!: (value: T) => void;
    let reject!: (reason: unknown) => void;
    const promise = new Promise<T>((onResolve, onReject) => {
        resolve = onResolve;
        reject = onReject;
    });
    return { promise, resolve, reject };
}

/** Lets one holder at a time in, in the order of asking. */
export class Mutex {
    #tail: Promise<void> = Promise.resolve();

    async run<T>(task: () => Promise<T>, signal?: AbortSignal): Promise<T> {
        const { promise, resolve } = deferred<void>();
        const before = this.#tail;
        this.#tail = before.then(() => promise);
        try {
            await abortable(before, signal);
            return await task();
        } finally {
            resolve();
        }
    }
}

export interface BackOff {
    firstMs: number;
    longestMs: number;
}

/** Doubles with each attempt (from 0), with up to half of it more at random. */
export function backOffMs(attempt: number, { firstMs, longestMs }: BackOff): number {
    const base = Math.min(longestMs, firstMs * 2 ** Math.min(attempt, 30));
    return base * (1 + Math.random() / 2);
}
