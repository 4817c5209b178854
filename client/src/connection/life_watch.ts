/** Looks, while a worker owes an answer, for anything that comes from it. */
import { Liveness, type LivenessLimits } from "./liveness.ts";
import type { Wire } from "./wire.ts";

export interface LifeWatchEvents {
    /** Each look, for what else has a time. Gives whether something is owed still. */
    onLook: () => boolean;
    /** Ask for a sign of life. */
    onProbe: () => void;
    /** There was none. */
    onLost: () => void;
}

export class LifeWatch {
    readonly #wire: Wire;
    readonly #limits: LivenessLimits;
    readonly #events: LifeWatchEvents;
    readonly #liveness: Liveness;
    #timer: ReturnType<typeof setInterval> | undefined;
    #lastHeardMs = 0;
    #queuedBytes = 0;
    #receivedBytes: number | undefined;

    constructor(wire: Wire, limits: LivenessLimits, events: LifeWatchEvents) {
        this.#wire = wire;
        this.#limits = limits;
        this.#events = events;
        this.#liveness = new Liveness(limits);
    }

    /**
     * Of any answer, or when the queue became shorter: on a slow path requests wait for each
     * other's bytes. What a probe brings is not among it: a request that is never answered ends.
     */
    get lastHeardMs(): number {
        return this.#lastHeardMs;
    }

    /** Something is owed from now on. */
    start(): void {
        if (this.#timer === undefined) {
            this.#receivedBytes = undefined;
            this.#queuedBytes = this.#wire.queuedBytes;
            this.#liveness.begin(Date.now());
            this.#timer = setInterval(() => this.#look(), this.#limits.tickMs);
        }
    }

    stop(): void {
        clearInterval(this.#timer);
        this.#timer = undefined;
    }

    heard(): void {
        this.#lastHeardMs = Date.now();
        this.#liveness.heard();
    }

    probeAnswered(): void {
        this.#liveness.heard();
    }

    #look(): void {
        const queuedBytes = this.#wire.queuedBytes;
        if (queuedBytes < this.#queuedBytes) {
            this.heard();
        }
        this.#queuedBytes = queuedBytes;
        if (!this.#events.onLook()) {
            this.stop();
            return;
        }
        // Its answer counts at the next look.
        void this.#wire.receivedBytes?.().then((bytes) => this.#compare(bytes));
        const step = this.#liveness.look(Date.now());
        if (step === "probe") {
            this.#events.onProbe();
        } else if (step === "lost") {
            this.#events.onLost();
        }
    }

    #compare(receivedBytes: number): void {
        if (this.#receivedBytes !== undefined && receivedBytes !== this.#receivedBytes) {
            this.#liveness.heard();
        }
        this.#receivedBytes = receivedBytes;
    }
}
