/** Keeps a connection to some worker, and repeats what a lost one or a busy worker interrupted. */
import { KollatorError, isKind } from "../errors.ts";
import { type BackOff, abortable, backOffMs, deferred, sleep } from "../wait.ts";
import { type WorkerAddress, bootstrap } from "./bootstrap.ts";
import { type Platform, type Route, browserPlatform, connect } from "./connect.ts";
import { Session } from "./session.ts";

export type ConnectionState =
    | { name: "connecting" }
    | { name: "connected"; workerId: string }
    | { name: "offline"; error: KollatorError; retryInMs: number }
    | { name: "closed" };

export interface ClientOptions {
    /** The front server's address; left out: `workerUrl` alone is used. */
    frontUrl?: string;
    /** A worker's HTTP address, to be reached by POST /rtc without a front. */
    workerUrl?: string;
    /** A worker's direct address ("/ip4/…/certhash/…"), to be reached without any signaling. */
    workerAddress?: string;
    platform?: Platform;
    onState?: (state: ConnectionState) => void;
    /** A task that cannot go on for so long fails; Infinity: it waits until it is aborted. */
    giveUpAfterMs?: number;
    connectTimeoutMs?: number;
    requestTimeoutMs?: number;
    agent?: string;
}

export interface RunOptions {
    signal?: AbortSignal | undefined;
    /** Told of each failure that is going to be repeated. */
    onTrouble?: ((error: KollatorError) => void) | undefined;
}

const reconnectBackOff: BackOff = { firstMs: 250, longestMs: 15_000 };
const retryBackOff: BackOff = { firstMs: 250, longestMs: 10_000 };
const helloTimeoutMs = 10_000;
/** A connection that ended sooner counts as a failure: else a broken worker is called in a loop. */
const stableAfterMs = 10_000;
/** A fault of the worker, or bytes that do not match: worth so many more attempts. */
const faultRetries = 3;

export class KollatorClient {
    readonly #options: ClientOptions;
    readonly #platform: Platform;
    readonly #ended = new AbortController();
    #session = deferred<Session>();
    #wake: () => void = () => {};
    #started = false;
    #lastError = new KollatorError("no-worker", "not connected yet");
    /** Whose connection broke last: others are tried first. */
    #avoidId: string | undefined;

    constructor(options: ClientOptions) {
        this.#options = options;
        this.#platform = options.platform ?? browserPlatform();
        this.#session.promise.catch(() => {});
    }

    /** Begins to connect; run() does so too. */
    start(): void {
        if (!this.#started && !this.#ended.signal.aborted) {
            this.#started = true;
            void this.#maintain();
        }
    }

    /** Ends the pause before the next attempt, when the network is back for instance. */
    retryNow(): void {
        this.#wake();
    }

    close(): void {
        this.#ended.abort(new KollatorError("connection-lost", "the client was closed"));
        this.#session.reject(this.#ended.signal.reason);
        this.#options.onState?.({ name: "closed" });
    }

    /**
     * Runs `task` with a session, again where the failure may pass: REQUIRES that it may be
     * repeated, as every request of the protocol may.
     */
    async run<T>(task: (session: Session) => Promise<T>, options: RunOptions = {}): Promise<T> {
        this.start();
        const { signal, onTrouble } = options;
        const giveUpAfterMs = this.#options.giveUpAfterMs ?? 120_000;
        let firstFailureMs: number | undefined;
        for (let attempt = 0; ; attempt++) {
            const spentMs = firstFailureMs === undefined ? 0 : Date.now() - firstFailureMs;
            const session = await this.#connected(giveUpAfterMs - spentMs, signal);
            try {
                return await task(session);
            } catch (error) {
                signal?.throwIfAborted();
                if (!mayPass(error, attempt) || spentMs > giveUpAfterMs) {
                    throw error;
                }
                firstFailureMs ??= Date.now();
                onTrouble?.(error);
                await this.#pause(error, attempt, session, signal);
            }
        }
    }

    async #pause(
        error: KollatorError,
        attempt: number,
        session: Session,
        signal: AbortSignal | undefined,
    ): Promise<void> {
        if (error.kind === "timeout") {
            session.close("the worker does not answer");
        }
        if (error.kind === "connection-lost" || error.kind === "timeout") {
            // Not the session that failed: its end is noticed a turn later.
            await abortable(session.closed, signal);
            await sleep(0, signal);
        } else if (error.retryAfterMs > 0) {
            await sleep(error.retryAfterMs * (1 + Math.random() / 2), signal);
        } else {
            await sleep(backOffMs(attempt, retryBackOff), signal);
        }
    }

    async #connected(withinMs: number, signal: AbortSignal | undefined): Promise<Session> {
        if (withinMs === Infinity) {
            return abortable(this.#session.promise, signal);
        }
        const late = new AbortController();
        const timer = setTimeout(() => late.abort(), Math.max(0, withinMs));
        const either = signal === undefined ? late.signal : AbortSignal.any([signal, late.signal]);
        try {
            return await abortable(this.#session.promise, either);
        } catch (error) {
            signal?.throwIfAborted();
            throw late.signal.aborted ? this.#lastError : error;
        } finally {
            clearTimeout(timer);
        }
    }

    async #maintain(): Promise<void> {
        const { signal } = this.#ended;
        for (let failures = 0; !signal.aborted; ) {
            this.#tell({ name: "connecting" });
            const beganMs = Date.now();
            try {
                await this.#liveOnce(signal);
            } catch (error) {
                this.#lastError = asKollatorError(error);
            }
            failures = Date.now() - beganMs > stableAfterMs ? 0 : failures + 1;
            if (!signal.aborted && failures > 0) {
                const retryInMs = backOffMs(failures - 1, reconnectBackOff);
                this.#tell({ name: "offline", error: this.#lastError, retryInMs });
                await this.#nap(retryInMs);
            }
        }
    }

    /** From connecting to the end of the connection. */
    async #liveOnce(signal: AbortSignal): Promise<void> {
        const { session, worker } = await this.#reach(signal);
        const onAbort = (): void => session.close("the client was closed");
        signal.addEventListener("abort", onAbort);
        this.#tell({ name: "connected", workerId: worker.id });
        this.#session.resolve(session);
        const reason = await session.closed;
        signal.removeEventListener("abort", onAbort);
        this.#avoidId = worker.id;
        this.#lastError = new KollatorError("connection-lost", reason);
        if (!signal.aborted) {
            this.#session = deferred();
            this.#session.promise.catch(() => {});
        }
    }

    async #reach(signal: AbortSignal): Promise<{ session: Session; worker: WorkerAddress }> {
        let failure = new KollatorError("no-worker", "no worker was found");
        for (const route of await this.#routes(signal)) {
            try {
                const timeoutMs = this.#options.connectTimeoutMs ?? 15_000;
                const wire = await connect(route, this.#platform, timeoutMs, signal);
                const session = new Session(wire, this.#options);
                const hello = await this.#greet(session, signal);
                return { session, worker: { ...route.worker, id: hello.id || route.worker.id } };
            } catch (error) {
                signal.throwIfAborted();
                failure = asKollatorError(error);
            }
        }
        throw failure;
    }

    async #greet(session: Session, signal: AbortSignal): Promise<{ id: string }> {
        try {
            const inTime = AbortSignal.any([signal, AbortSignal.timeout(helloTimeoutMs)]);
            return await session.hello(inTime);
        } catch (error) {
            session.close("HELLO failed");
            throw error;
        }
    }

    async #routes(signal: AbortSignal): Promise<Route[]> {
        const { frontUrl, workerUrl, workerAddress } = this.#options;
        const direct: Route[] =
            workerUrl === undefined && workerAddress === undefined
                ? []
                : [
                      {
                          worker: { id: "", url: workerUrl ?? "" },
                          signalingUrl: undefined,
                          iceServers: [],
                          directAddress: workerAddress,
                      },
                  ];
        if (frontUrl === undefined) {
            return direct;
        }
        const found = await bootstrap(new URL(frontUrl), this.#platform.fetch, signal);
        const isAvoided = (worker: WorkerAddress): boolean => worker.id === this.#avoidId;
        const workers = [
            ...found.workers.filter((worker) => !isAvoided(worker)),
            ...found.workers.filter(isAvoided),
        ];
        const { signalingUrl, iceServers } = found;
        return [...direct, ...workers.map((worker) => ({ worker, signalingUrl, iceServers }))];
    }

    async #nap(ms: number): Promise<void> {
        const woken = deferred<void>();
        this.#wake = woken.resolve;
        const timer = setTimeout(woken.resolve, ms);
        await abortable(woken.promise, this.#ended.signal).catch(() => {});
        clearTimeout(timer);
        this.#wake = () => {};
    }

    #tell(state: ConnectionState): void {
        if (!this.#ended.signal.aborted) {
            this.#options.onState?.(state);
        }
    }
}

function mayPass(error: unknown, attempt: number): error is KollatorError {
    if (isKind(error, "busy", "unavailable", "timeout", "connection-lost")) {
        return true;
    }
    return isKind(error, "internal", "cancelled", "corrupt") && attempt < faultRetries;
}

function asKollatorError(error: unknown): KollatorError {
    return error instanceof KollatorError
        ? error
        : new KollatorError("no-worker", "the worker cannot be reached", { cause: error });
}
