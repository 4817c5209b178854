/** Whether the worker is still there while it owes an answer. No clock inside. */

/**
 * How soon a worker that owes an answer and is silent counts as lost. Somebody who waits for a file
 * is to go on at another worker within 5 s: 3 s of silence and a tick are noticed, and the rest
 * is for reaching the other one. src/peer/liveness.h has the same numbers.
 */
export interface LivenessLimits {
    /** Between looks. */
    tickMs: number;
    /** A question that is cheap to answer is sent then: who works on what takes long answers it. */
    probeAfterMs: number;
    lostAfterMs: number;
    /**
     * What a tick counts for at most. One that comes later was held up here (a busy page, a tab in
     * the background), and what the worker sent meanwhile is still to be read.
     */
    longestTickMs: number;
}

export const livenessLimits: LivenessLimits = {
    tickMs: 250,
    probeAfterMs: 1500,
    lostAfterMs: 3000,
    longestTickMs: 1000,
};

export type LivenessStep = "none" | "probe" | "lost";

export class Liveness {
    readonly #limits: LivenessLimits;
    #lookedMs = 0;
    #silentMs = 0;
    #probed = false;

    constructor(limits: LivenessLimits) {
        this.#limits = limits;
    }

    /** From now on something is owed. */
    begin(nowMs: number): void {
        this.#lookedMs = nowMs;
        this.heard();
    }

    /** Something came from the worker. */
    heard(): void {
        this.#silentMs = 0;
        this.#probed = false;
    }

    /** Each tick, while something is owed. "probe" once in a silence. */
    look(nowMs: number): LivenessStep {
        const { longestTickMs, lostAfterMs, probeAfterMs } = this.#limits;
        this.#silentMs += Math.min(Math.max(0, nowMs - this.#lookedMs), longestTickMs);
        this.#lookedMs = nowMs;
        if (this.#silentMs >= lostAfterMs) {
            return "lost";
        }
        if (this.#probed || this.#silentMs < probeAfterMs) {
            return "none";
        }
        this.#probed = true;
        return "probe";
    }
}
